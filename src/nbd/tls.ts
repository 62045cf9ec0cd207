/**
 * TLS on a connection that began without. The peer is always checked: its certificate against an authority and its name;
 * a server may ask for the client's certificate too. TLS 1.2 and later.
 */
import type { Socket } from 'node:net';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import { nbdFaults } from './faults.ts';

export interface NbdClientTls {
  /** PEM of the authorities to trust; default: those of the system. */
  readonly ca?: string | Buffer;
  /** The name the server's certificate must be for; default: the host of the address. Needed for unix sockets. */
  readonly serverName?: string;
  /** PEM, where the server wants to know who comes. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

export interface NbdServerTls {
  /** PEM. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** PEM of the authority every client's certificate must come from; without it any client is let in. */
  readonly clientCa?: string | Buffer;
}

const MINIMUM = 'TLSv1.2';

/** Rejects with the reason TLS gives. */
export async function secureClient(socket: Socket, host: string, tls: NbdClientTls): Promise<TLSSocket> {
  const servername = tls.serverName ?? host;
  const secured = connect({
    socket,
    minVersion: MINIMUM,
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(isAddress(servername) ? { host: servername } : { servername }),
  });
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', resolve);
    secured.once('error', reject);
    secured.once('close', () => reject(new Error('the connection was closed')));
  });
  return secured;
}

/** Throws `NBD_CERTIFICATE_UNUSABLE`. */
export function checkCertificate({ cert, key, clientCa }: NbdServerTls): void {
  try {
    createSecureContext({ cert, key, ...(clientCa === undefined ? {} : { ca: clientCa }) });
  } catch (error) {
    throw nbdFaults.certificateUnusable({ reason: (error as Error).message }, { cause: error });
  }
}

/** Rejects with the reason TLS gives, and when the client has no certificate that is asked for. */
export async function secureServer(
  socket: Socket,
  { cert, key, clientCa }: NbdServerTls,
): Promise<TLSSocket> {
  const clients = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  // A server of its own for each client: only a server of Node judges certificates of clients.
  const server = createServer({ cert, key, minVersion: MINIMUM, ...clients });
  const secured = new Promise<TLSSocket>((resolve, reject) => {
    server.once('secureConnection', resolve);
    server.once('tlsClientError', reject);
  });
  server.emit('connection', socket);
  return secured;
}

function isAddress(name: string): boolean {
  return /^[\d.]+$|:/.test(name);
}
