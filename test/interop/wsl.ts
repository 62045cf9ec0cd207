/**
 * Runs `wsl` (wslenum, wslget), a WS-Management client made of shell, curl and xmllint, which knows nothing of this project.
 *
 * It logs on by Basic over HTTPS and cannot seal messages, and the lab, like a host as it comes, has neither. So a gateway of
 * the test stands in between: it ends TLS, judges the password, and carries each envelope, unread, over a sealed connection.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { Mutex } from '../../src/base/index.ts';
import { WireClient, type Credentials } from '../../lab/wire/client.fixture.ts';
import { requires } from '../requires.ts';

export const needsWsl = requires(
  ['wslenum', 'wslget', 'curl', 'xmllint', 'uuidgen', 'openssl'],
  'a WS-Management client made of shell and curl understands the lab: Enumerate, Pull, Get, WQL, faults',
);

export interface Wsl extends AsyncDisposable {
  /** Everything that `program` shows. `password`: another one than the right one. */
  run(program: 'wslenum' | 'wslget', args: readonly string[], password?: string): Promise<string>;
  /** Envelopes carried so far. */
  readonly carried: number;
}

/** `folder` is for the files of wsl, which writes each message into one. */
export async function startWsl(folder: string, wirePort: number, account: Credentials): Promise<Wsl> {
  await mkdir(folder, { recursive: true });
  const gateway = await startGateway(folder, wirePort, account);
  const { port } = gateway.address() as AddressInfo;
  const endpoint = `127.0.0.1:${port}`;
  // The certificate wsl trusts is the file that is named like its endpoint.
  await writeFile(join(folder, `${endpoint}.crt`), await readFile(join(folder, 'cert')));
  return {
    async run(program, args, password = account.password) {
      const env = {
        ...process.env,
        HOME: folder,
        WSENDPOINT: endpoint,
        WSUSER: account.user,
        WSPASS: password,
      };
      const { stdout } = await promisify(execFile)(program, args, {
        cwd: folder,
        env,
        timeout: 60_000,
      }).catch((error: { stdout: string }) => error);
      return stdout;
    },
    get carried() {
      return gateway.carried();
    },
    [Symbol.asyncDispose]: () => gateway.close(),
  };
}

interface Gateway {
  address(): ReturnType<ReturnType<typeof createServer>['address']>;
  carried(): number;
  close(): Promise<void>;
}

async function startGateway(folder: string, wirePort: number, account: Credentials): Promise<Gateway> {
  const [keyFile, certFile] = [join(folder, 'key'), join(folder, 'cert')];
  const subject = ['-subj', '/CN=hv1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile];
  execFileSync('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile], { stdio: 'ignore' });
  const client = await WireClient.authenticated(wirePort, account);
  const expected = `Basic ${Buffer.from(`${account.user}:${account.password}`).toString('base64')}`;
  const turn = new Mutex();
  let carried = 0;
  const carry = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const envelope = (await buffer(request)).toString();
    if (request.headers.authorization !== expected) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="WSMAN"' }).end();
      return;
    }
    carried += 1;
    const { status, xml } = await turn.run(() => client.soap(envelope));
    response.writeHead(status, { 'Content-Type': 'application/soap+xml;charset=UTF-8' }).end(xml);
  };
  const tls = { key: await readFile(keyFile), cert: await readFile(certFile) };
  const server = createServer(tls, (request, response) => {
    carry(request, response).catch(() => response.destroy());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    address: () => server.address(),
    carried: () => carried,
    async close() {
      client[Symbol.dispose]();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
