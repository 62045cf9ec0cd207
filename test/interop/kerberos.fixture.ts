/**
 * A realm of Kerberos as processes of the test: krb5kdc with a database, configuration and port of its own, gone when the test
 * is. The configuration is found through the environment, so one realm at a time is used by a test process.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { DEBIAN_PYTHON, requires, requiresPython } from '../requires.ts';
import { freePort, listening } from './local-server.fixture.ts';

export const REALM = 'HVLIFT.TEST';
export const USER = { user: `backup@${REALM}`, password: 'Pä$$ w0rd' };
const AES = 'aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal';

/** `{ skip }` where the realm or its acceptor can not run. */
export function requiresKerberos(unproved: string, ...more: string[]): { skip?: string } {
  const programs = requires(['krb5kdc', 'kdb5_util', 'kadmin.local', 'kinit', ...more], unproved);
  return programs.skip === undefined ? requiresPython(['gssapi'], unproved) : programs;
}

export interface Realm extends AsyncDisposable {
  readonly folder: string;
  /** A keytab with the key of a principal that exists. */
  keytab(principal: string): string;
  /** A command of kadmin, such as `modprinc -maxlife '4 seconds' backup`. */
  admin(command: string): void;
  /** Fills the ticket cache of the process. */
  kinit(password: string, ...options: string[]): void;
  /** Leaves no ticket. */
  forgetTickets(): void;
  killKdc(): Promise<void>;
}

export interface RealmOptions {
  /** Encryption types the realm knows. */
  readonly types?: string;
  readonly services?: readonly string[];
}

export async function startRealm(options: RealmOptions = {}): Promise<Realm> {
  const { types = AES, services = ['HTTP/localhost'] } = options;
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-krb5-'));
  const port = await freePort();
  writeFileSync(join(folder, 'krb5.conf'), clientConfiguration(port, types));
  writeFileSync(join(folder, 'kdc.conf'), serverConfiguration(folder, port, types));
  const environment = {
    KRB5_CONFIG: join(folder, 'krb5.conf'),
    KRB5_KDC_PROFILE: join(folder, 'kdc.conf'),
    KRB5CCNAME: `FILE:${join(folder, 'cache')}`,
    KRB5_CLIENT_KTNAME: join(folder, 'no-client-keytab'),
    KRB5RCACHEDIR: folder,
  };
  Object.assign(process.env, environment);
  const run = (program: string, args: readonly string[], input = ''): void =>
    void execFileSync(program, args, { input, stdio: ['pipe', 'ignore', 'pipe'] });
  const admin = (command: string): void => run('kadmin.local', ['-r', REALM, '-q', command]);
  run('kdb5_util', ['create', '-s', '-r', REALM, '-P', 'master']);
  admin(`addprinc +requires_preauth -pw "${USER.password}" backup`);
  for (const service of services) admin(`addprinc -randkey ${service}`);
  const kdc = spawn('krb5kdc', ['-n', '-r', REALM], { stdio: 'ignore' });
  await listening('krb5kdc', port, kdc);
  return {
    folder,
    admin,
    keytab(principal) {
      const file = join(folder, `${principal.replaceAll('/', '-')}.keytab`);
      rmSync(file, { force: true });
      admin(`ktadd -norandkey -k ${file} ${principal}`);
      return file;
    },
    kinit: (password, ...more) => run('kinit', [...more, USER.user], `${password}\n`),
    forgetTickets: () => rmSync(join(folder, 'cache'), { force: true }),
    killKdc: () => kill(kdc),
    async [Symbol.asyncDispose]() {
      await kill(kdc);
      for (const name of Object.keys(environment)) delete process.env[name];
      rmSync(folder, { recursive: true });
    },
  };
}

function clientConfiguration(port: number, types: string): string {
  const names = types.replaceAll(':normal', '');
  return `[libdefaults]
default_realm = ${REALM}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
permitted_enctypes = ${names}
allow_weak_crypto = true
[realms]
${REALM} = {
  kdc = 127.0.0.1:${port}
}
[domain_realm]
localhost = ${REALM}
`;
}

function serverConfiguration(folder: string, port: number, types: string): string {
  return `[kdcdefaults]
kdc_listen = ""
kdc_tcp_listen = 127.0.0.1:${port}
[realms]
${REALM} = {
  database_name = ${folder}/principal
  key_stash_file = ${folder}/stash
  acl_file = ${folder}/acl
  supported_enctypes = ${types}
  master_key_type = aes256-cts-hmac-sha1-96
  disable_pac = true
}
[logging]
kdc = FILE:${folder}/kdc.log
`;
}

export interface Acceptor extends AsyncDisposable {
  /** `http://localhost:…/wsman` or https. */
  readonly url: string;
  readonly port: number;
}

/** For the acceptor: a clock that is 20 minutes ahead. Not by the program faketime, which would stand between us and it. */
export const LATE = { LD_PRELOAD: '/usr/$LIB/faketime/libfaketime.so.1', FAKETIME: '+20m' };

/** The acceptor of winrm-acceptor.py, with what its environment names. */
export async function startAcceptor(environment: Readonly<Record<string, string>>): Promise<Acceptor> {
  const script = join(import.meta.dirname, 'winrm-acceptor.py');
  const python = spawn(DEBIAN_PYTHON, [script], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(python.stdout!, 'data')) as [Buffer];
  const port = Number(line.toString().trim());
  return {
    port,
    url: `${environment['TLS_FILE'] ? 'https' : 'http'}://localhost:${port}/wsman`,
    [Symbol.asyncDispose]: () => kill(python),
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** A PEM file of a key and a self-signed certificate for localhost. */
export function makeCertificate(folder: string, name: string): string {
  const file = join(folder, `${name}.pem`);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
  const subject = [
    '-subj',
    `/CN=${name}`,
    '-addext',
    'subjectAltName=DNS:localhost',
    '-days',
    '2',
    '-sha256',
  ];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', `${file}.crt`], { stdio: 'ignore' });
  appendFileSync(file, readFileSync(`${file}.crt`));
  return file;
}

/** Somebody in between who shows a certificate of its own and passes everything on. */
export async function startTlsRelay(pem: string, port: number): Promise<{ url: string } & AsyncDisposable> {
  const content = readFileSync(pem, 'utf8');
  const sockets = new Set<Socket>();
  const server = createTlsServer({ key: content, cert: content }, (near) => {
    const far = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
    for (const socket of [near, far]) sockets.add(socket.on('error', () => socket.destroy()));
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}/wsman`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
