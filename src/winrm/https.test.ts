/** https: whom it trusts, and that the log-on is tied to the certificate. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import { requires } from '../../test/requires.ts';
import { channelBinding } from '../auth/index.ts';
import { bindingHash } from '../ntlm/index.ts';
import { AV } from '../ntlm/format.ts';
import { openWinrm } from './client.ts';
import { Thing, thingXml } from './testing/classes.fixture.ts';
import { soapAnswer, startSealedServer } from './testing/sealed-server.fixture.ts';

const needs = requires(['openssl'], 'https: certificates, pins, channel binding');

/** A self-signed certificate for 127.0.0.1. */
function makeCertificate(hash = 'sha256'): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'winrm-tls-'));
  try {
    const [keyFile, certFile] = [join(folder, 'key'), join(folder, 'cert')];
    const subject = ['-subj', '/CN=hv1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
    execFileSync('openssl', ['req', '-x509', ...key, ...subject, `-${hash}`, '-out', certFile], {
      stdio: 'ignore',
    });
    return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('with the authority given a read works, and the log-on names the certificate', needs, async () => {
  const tls = makeCertificate();
  await using server = await startSealedServer({ tls, answer: (heard) => soapAnswer(heard, thingXml('a')) });
  await using session = await openWinrm({ ...server.options, ca: tls.cert });
  assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
  const binding = server.logOns[0]!.pairs.find((pair) => pair.id === AV.channelBindings);
  const der = new X509Certificate(tls.cert).raw;
  assert.deepEqual(Buffer.from(binding!.value), Buffer.from(bindingHash(channelBinding(der))));
});

test('over http the log-on carries no channel binding at all', async () => {
  await using server = await startSealedServer({ answer: () => '' });
  await using session = await openWinrm(server.options);
  assert.ok(session.identity);
  assert.ok(!server.logOns[0]!.pairs.some((pair) => pair.id === AV.channelBindings));
});

test('an unknown certificate is refused before a log-on', needs, async () => {
  await using server = await startSealedServer({ tls: makeCertificate(), answer: () => '' });
  await assert.rejects(openWinrm(server.options), { code: 'WINRM_CERTIFICATE_UNTRUSTED' });
  assert.deepEqual(server.logOns, []);
});

test('the pinned certificate is accepted, any other is not', needs, async () => {
  const tls = makeCertificate();
  const { fingerprint256 } = new X509Certificate(tls.cert);
  await using server = await startSealedServer({ tls, answer: (heard) => soapAnswer(heard, thingXml('a')) });
  for (const written of [fingerprint256, fingerprint256.replaceAll(':', '').toLowerCase()]) {
    await using session = await openWinrm({ ...server.options, fingerprint256: written });
    assert.equal((await session.get(Thing, { InstanceID: 'a' })).InstanceID, 'a');
  }
  const tried = server.logOns.length;
  const other = fingerprint256.replace(/^../, (byte) => (byte === '00' ? '01' : '00'));
  await assert.rejects(openWinrm({ ...server.options, fingerprint256: other }), {
    code: 'WINRM_CERTIFICATE_NOT_PINNED',
  });
  assert.equal(server.logOns.length, tried);
});

test(
  'a host with nothing newer than TLS 1.1 is refused before a log-on, whatever is pinned or taken',
  needs,
  async () => {
    const { key, cert } = makeCertificate();
    const { fingerprint256 } = new X509Certificate(cert);
    const { DEFAULT_MIN_VERSION: before } = tls;
    // As with the options of Node that allow the old versions again.
    tls.DEFAULT_MIN_VERSION = 'TLSv1';
    let requests = 0;
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = createServer({ key, cert, ...old }, () => (requests += 1)).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const credentials = { user: 'ann', password: 'x' };
      for (const trust of [{ ca: cert }, { fingerprint256 }, { insecure: true }]) {
        await assert.rejects(openWinrm({ url, credentials, ...trust }), { code: 'WINRM_TLS_REFUSED' });
      }
      assert.equal(requests, 0);
      assert.ok(await speaks(server, 'TLSv1.1'), 'whoever asks for it gets it');
    } finally {
      tls.DEFAULT_MIN_VERSION = before;
      server.close();
    }
  },
);

async function speaks(server: Server, version: 'TLSv1.1'): Promise<boolean> {
  const { port } = server.address() as AddressInfo;
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  await once(socket, 'secureConnect');
  const spoken = socket.getProtocol() === version;
  socket.destroy();
  return spoken;
}

test('https to a port that speaks http is told apart from a certificate that is wrong', async () => {
  await using server = await startSealedServer({ answer: () => '' });
  const url = server.url.replace('http:', 'https:');
  await assert.rejects(openWinrm({ ...server.options, url }), { code: 'WINRM_TLS_REFUSED' });
});

for (const hash of ['sha256', 'sha384', 'sha512']) {
  test(`the channel binding of a certificate signed with ${hash} uses ${hash}`, needs, () => {
    const der = new X509Certificate(makeCertificate(hash).cert).raw;
    const data = Buffer.concat([Buffer.from('tls-server-end-point:'), createHash(hash).update(der).digest()]);
    const structure = Buffer.concat([Buffer.alloc(16), Buffer.from([data.length, 0, 0, 0]), data]);
    assert.equal(
      Buffer.from(bindingHash(channelBinding(der))).toString('hex'),
      createHash('md5').update(structure).digest('hex'),
    );
  });
}
