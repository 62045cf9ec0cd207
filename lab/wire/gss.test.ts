import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { test } from 'node:test';
import { DEBIAN_PYTHON, requiresPython } from '../../test/requires.ts';
import { enumerate, uriOf } from './requests.fixture.ts';
import { ADMIN, withWire } from './wire.fixture.ts';

const needs = requiresPython(['gssapi'], 'gss-ntlmssp and the wire agree on NTLMv2 and sealing');
const LIST = enumerate({ uri: uriOf('Msvm_ComputerSystem'), optimized: true, max: 9 });

/** What the client made of gss-ntlmssp got for these envelopes, logging in with `password`. */
async function gssClient(port: number, password: string, envelopes: readonly string[]): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'wire-gss-'));
  try {
    const file = join(folder, 'users');
    await writeFile(file, `LAB:${ADMIN.user}:${password}\n`, { mode: 0o600 });
    const script = join(import.meta.dirname, 'gss-client.py');
    const child = spawn(DEBIAN_PYTHON, [script, String(port), ADMIN.user, 'LAB'], {
      env: { ...process.env, NTLM_USER_FILE: file },
      timeout: 30_000,
    });
    child.stdin.end(envelopes.join('\n.\n'));
    const [output, errors] = await Promise.all([
      textOf(child.stdout),
      textOf(child.stderr),
      once(child, 'close'),
    ]);
    assert.equal(errors, '');
    return JSON.parse(output);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test(
  'gss-ntlmssp, a client that knows nothing of this project, logs in and exchanges sealed messages in sequence',
  needs,
  () =>
    withWire({}, async ({ wire }) => {
      const answers = (await gssClient(wire.port, ADMIN.password, [LIST, 'broken', LIST])) as [
        number,
        string,
      ][];
      assert.deepEqual(
        answers.map(([status]) => status),
        [200, 500, 200],
      );
      assert.match(answers[2]![1], /<p:ElementName>web 01<\/p:ElementName>/);
    }),
);

test('gss-ntlmssp with a wrong password is refused', needs, () =>
  withWire({}, async ({ wire }) => {
    assert.deepEqual(await gssClient(wire.port, 'wrong', [LIST]), { refused: 401 });
  }),
);
