import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { startSealedServer } from '../winrm/testing/sealed-server.fixture.ts';
import { diagnose } from './diagnose.ts';
import type { Finding } from './finding.ts';
import { clock } from './service.ts';
import type { DoctorTarget } from './target.ts';

const needs = requires(['openssl'], 'what a diagnosis says of certificates');
const CONTEXT = { user: 'u', host: 'hv1', tls: false };

function makeCertificate(name: string, days: number): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-tls-'));
  try {
    const [keyFile, certFile] = [join(folder, 'key'), join(folder, 'cert')];
    const subject = ['-subj', '/CN=hv1', '-addext', `subjectAltName=${name}`, '-days', String(days)];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile], { stdio: 'ignore' });
    return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function certificateOf(
  tls: { key: string; cert: string },
  trust: Partial<DoctorTarget['winrm']>,
): Promise<Finding> {
  await using server = await startSealedServer({ tls, answer: () => '' });
  const port = Number(new URL(server.url).port);
  const target: DoctorTarget = {
    winrm: { ...server.options, ...trust },
    ports: [{ use: 'winrm', host: '127.0.0.1', port }],
    openFiles: () => assert.fail('nothing is known of files'),
  };
  for await (const finding of diagnose(target, new AbortController().signal)) {
    if (finding.id === 'certificate') return finding;
  }
  return assert.fail('nothing was said of the certificate');
}

test(
  'a certificate is found good, near its end, for another name, of nobody, and not the pinned one',
  needs,
  async () => {
    const good = makeCertificate('IP:127.0.0.1', 100);
    const near = makeCertificate('IP:127.0.0.1', 20);
    const other = makeCertificate('DNS:hv2', 100);
    const found = await Promise.all([
      certificateOf(good, { ca: good.cert }),
      certificateOf(good, { insecure: true }),
      certificateOf(near, { ca: near.cert }),
      certificateOf(other, { ca: other.cert }),
      certificateOf(good, {}),
      certificateOf(good, { fingerprint256: '00'.repeat(32) }),
    ]);
    assert.deepEqual(
      found.map(({ state, code }) => [state, code]),
      [
        ['ok', undefined],
        ['ok', undefined],
        ['warning', 'DOCTOR_CERTIFICATE_ENDS'],
        ['failed', 'WINRM_CERTIFICATE_NAME'],
        ['failed', 'WINRM_CERTIFICATE_UNTRUSTED'],
        ['failed', 'WINRM_CERTIFICATE_NOT_PINNED'],
      ],
    );
    assert.match(found[0]!.seen, /CN=hv1, trusted, ends \d{4}-\d\d-\d\d, SHA-256 [0-9A-F:]{95}$/);
    assert.match(found[1]!.seen, /not checked, because `insecure` is set/);
    assert.match(found[2]!.seen, /ends in (19|20) days/);
  },
);

test('a clock is judged by how far it is off, and in which direction', () => {
  const minutes = (number: number): Finding => clock(number * 60_000, CONTEXT);
  assert.equal(minutes(1.9).state, 'ok');
  assert.match(minutes(2.5).seen, /2\.5 min ahead of ours/);
  assert.match(minutes(-90).seen, /90\.0 min behind ours/);
  assert.deepEqual(minutes(-90).fix!.powershell, ['w32tm /query /status', 'w32tm /resync']);
  assert.equal(clock(undefined, CONTEXT).state, 'unproved');
});
