/** The log-ons that show a secret or a certificate, and only to a host that has proved itself; and what certificates can lack. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { requires } from '../../test/requires.ts';
import { openWinrm, type WinrmOptions } from './client.ts';

const needs = requires(['openssl'], 'https: Basic, client certificates, refused certificates');
const folder = mkdtempSync(join(tmpdir(), 'winrm-methods-'));
after(() => rmSync(folder, { recursive: true }));

interface Pem {
  readonly key: string;
  readonly cert: string;
}

function makeCertificate(name: string, environment: Readonly<Record<string, string>> = {}): Pem {
  const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  const names = [
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${name === 'host' ? 'IP:127.0.0.1' : 'DNS:other'}`,
  ];
  const args = ['req', '-x509', ...key, ...names, '-days', '2', '-out', certFile];
  execFileSync('openssl', args, { stdio: 'ignore', env: { ...process.env, ...environment } });
  return { key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
}

const IDENTITY =
  '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>' +
  '<q:IdentifyResponse xmlns:q="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">' +
  '<q:ProtocolVersion>x</q:ProtocolVersion><q:ProductVendor>Test</q:ProductVendor>' +
  '<q:ProductVersion>1</q:ProductVersion></q:IdentifyResponse></s:Body></s:Envelope>';

interface Host extends AsyncDisposable {
  readonly url: string;
  /** The Authorization of every request. */
  readonly seen: (string | undefined)[];
}

/** A host that lets in whom `accepts` says, and offers `offer` to others. */
async function startHost(
  pem: Pem,
  accepts: (request: IncomingMessage) => boolean,
  offer = 'Basic realm="WSMAN"',
): Promise<Host> {
  const seen: (string | undefined)[] = [];
  const server = createServer(
    { key: pem.key, cert: pem.cert, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      seen.push(request.headers.authorization);
      if (accepts(request))
        response.setHeader('Content-Type', 'application/soap+xml;charset=UTF-8').end(IDENTITY);
      else response.writeHead(401, { 'WWW-Authenticate': offer }).end();
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/wsman`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const credentials = { user: 'backup', password: 'Pä$$: w0rd' };
const BASIC = `Basic ${Buffer.from('backup:Pä$$: w0rd').toString('base64')}`;

async function open(options: WinrmOptions): Promise<string | undefined> {
  await using session = await openWinrm(options);
  return session.identity?.vendor;
}

test('Basic is sent to a host with a good certificate, and to no other', needs, async () => {
  const pem = makeCertificate('host');
  await using host = await startHost(pem, ({ headers }) => headers.authorization === BASIC);
  const options = { url: host.url, credentials, auth: 'basic' } as const;
  assert.equal(await open({ ...options, ca: pem.cert }), 'Test');
  assert.deepEqual(host.seen, [BASIC]);
  await assert.rejects(open(options), { code: 'WINRM_CERTIFICATE_UNTRUSTED', message: /([0-9A-F]{2}:){31}/ });
  assert.deepEqual(host.seen, [BASIC], 'nothing was sent to the unknown host');
});

test('a password refused by Basic, and a host that does not take Basic', needs, async () => {
  const pem = makeCertificate('host');
  for (const [offer, code] of [
    ['Basic realm="WSMAN"', 'WINRM_AUTHENTICATION_FAILED'],
    ['Negotiate', 'WINRM_METHOD_NOT_OFFERED'],
  ] as const) {
    await using host = await startHost(pem, () => false, offer);
    await assert.rejects(open({ url: host.url, credentials, auth: 'basic', ca: pem.cert }), { code });
  }
});

test('Basic and client certificates are refused where the host is not proved, before anything is sent', async () => {
  for (const auth of ['basic', 'certificate'] as const) {
    for (const more of [
      { url: 'http://127.0.0.1:1/wsman' },
      { url: 'https://127.0.0.1:1/wsman', insecure: true },
    ]) {
      await assert.rejects(open({ credentials, auth, ...more }), { code: 'WINRM_METHOD_NEEDS_TLS' });
    }
  }
});

test('the client certificate is shown, and a host that maps it to nobody is named', needs, async () => {
  const [pem, mine, foreign] = [makeCertificate('host'), makeCertificate('mine'), makeCertificate('foreign')];
  const shows = (request: IncomingMessage): boolean =>
    (request.socket as TLSSocket).getPeerCertificate().subject?.CN === 'mine' &&
    (request.headers.authorization ?? '').endsWith('secprofile/https/mutual');
  await using host = await startHost(pem, shows);
  const options = { url: host.url, credentials, auth: 'certificate', ca: pem.cert } as const;
  const shown = (from: Pem): Pick<WinrmOptions, 'clientCertificate'> => ({
    clientCertificate: { certificate: from.cert, key: from.key },
  });
  assert.equal(await open({ ...options, ...shown(mine) }), 'Test');
  await assert.rejects(open({ ...options, ...shown(foreign) }), { code: 'WINRM_CERTIFICATE_NOT_MAPPED' });
  for (const wrong of [{}, shown({ cert: mine.cert, key: foreign.key }), shown({ cert: 'x', key: 'y' })]) {
    await assert.rejects(open({ ...options, ...wrong }), { code: 'WINRM_CLIENT_CERTIFICATE_UNUSABLE' });
  }
});

test('a certificate with another name is told from one that is unknown', needs, async () => {
  const other = makeCertificate('other');
  await using host = await startHost(other, () => true);
  await assert.rejects(open({ credentials, auth: 'basic', url: host.url, ca: other.cert }), {
    code: 'WINRM_CERTIFICATE_NAME',
    message: /DNS:other/,
  });
});

/** A certificate made a month ago. */
const LONG_AGO = { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: '-30d' };
const oldNeeds = requires(['openssl', 'faketime'], 'https: certificates that have expired');

test(
  'an expired certificate is named as such, and good all the same when it is pinned',
  oldNeeds,
  async () => {
    const old = makeCertificate('host', LONG_AGO);
    await using host = await startHost(old, () => true);
    const options = { credentials, auth: 'basic', url: host.url } as const;
    await assert.rejects(open({ ...options, ca: old.cert }), { code: 'WINRM_CERTIFICATE_EXPIRED' });
    const { fingerprint256 } = new X509Certificate(old.cert);
    assert.equal(await open({ ...options, fingerprint256 }), 'Test');
  },
);

test('with `insecure` any certificate is taken, for a log-on that protects itself', needs, async () => {
  const pem = makeCertificate('other');
  await using host = await startHost(pem, () => false, 'Basic');
  await assert.rejects(open({ url: host.url, credentials, auth: 'ntlm', insecure: true }), {
    code: 'WINRM_METHOD_NOT_OFFERED',
  });
  assert.match(host.seen[0]!, /^Negotiate /);
});
