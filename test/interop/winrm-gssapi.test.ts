/** Our log-on and sealing against an acceptor that shares nothing with us: python3-gssapi over gss-ntlmssp. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { cimClass, openWinrm } from '../../src/winrm/index.ts';
import { DEBIAN_PYTHON, requiresPython } from '../requires.ts';

const Echo = cimClass('Msvm_Echo', {
  properties: { User: 'string', Heard: 'uint32', Sealed: 'uint32', Padding: 'string' },
});

const needs = requiresPython(['gssapi'], 'NTLMv2 log-on and sealing against an independent implementation');

interface Acceptor extends AsyncDisposable {
  readonly url: string;
}

async function startAcceptor(users: string): Promise<Acceptor> {
  const folder = mkdtempSync(join(tmpdir(), 'winrm-gss-'));
  const userFile = join(folder, 'users');
  writeFileSync(userFile, users, { mode: 0o600 });
  const script = join(import.meta.dirname, 'winrm-acceptor.py');
  const python = spawn(DEBIAN_PYTHON, [script], {
    env: { ...process.env, NTLM_USER_FILE: userFile },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(python.stdout, 'data')) as [Buffer];
  return {
    url: `http://127.0.0.1:${port.toString().trim()}/wsman`,
    async [Symbol.asyncDispose]() {
      python.kill();
      await once(python, 'close');
      rmSync(folder, { recursive: true });
    },
  };
}

test('many sealed messages of all lengths, two connections at once, UTF-8 both ways', needs, async () => {
  await using acceptor = await startAcceptor('LAB:backup:Pä$$w0rd\n');
  const credentials = { user: 'LAB\\backup', password: 'Pä$$w0rd' };
  await using session = await openWinrm({ url: acceptor.url, credentials, sessions: 2 });
  const lengths = Array.from({ length: 40 }, (_, index) => index * 211);
  const echoes = await Promise.all(lengths.map((length) => session.get(Echo, { Key: 'é'.repeat(length) })));
  const shortest = echoes[0]!.Heard!;
  assert.deepEqual(
    echoes.map((echo) => echo.Heard! - shortest),
    lengths.map((length) => 2 * length),
  );
  assert.ok(echoes.every((echo) => /backup/i.test(echo.User!)));
  const sealed = echoes.map((echo) => echo.Sealed!);
  assert.ok(Math.max(...sealed) > 10, 'the counters of one connection ran on');
  assert.ok(echoes.some((echo) => echo.Padding!.length > 30_000));
});

test('a wrong password is refused, and so is an unknown user', needs, async () => {
  await using acceptor = await startAcceptor('LAB:backup:secret\n');
  for (const credentials of [
    { user: 'LAB\\backup', password: 'Secret' },
    { user: 'LAB\\nobody', password: 'secret' },
  ]) {
    await assert.rejects(openWinrm({ url: acceptor.url, credentials }), {
      code: 'WINRM_AUTHENTICATION_FAILED',
    });
  }
});

test('a session goes on after its connection was lost: it logs on anew', needs, async () => {
  await using acceptor = await startAcceptor('LAB:backup:secret\n');
  const credentials = { user: 'LAB\\backup', password: 'secret' };
  await using session = await openWinrm({ url: acceptor.url, credentials, sessions: 1 });
  const controller = new AbortController();
  const cancelled = session.get(Echo, { Key: 'a' }, { signal: controller.signal });
  queueMicrotask(() => controller.abort(new Error('enough')));
  await assert.rejects(cancelled, { message: 'enough' });
  const echo = await session.get(Echo, { Key: 'a' });
  assert.equal(echo.Sealed, 2, 'Identify and this read, on a connection of their own');
});
