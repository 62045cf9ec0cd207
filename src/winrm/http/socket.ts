/** One TCP or TLS connection, opened with a deadline and the certificate checked before a byte of ours is sent. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  connect as connectTls,
  createSecureContext,
  type SecureContext,
  type SecureVersion,
  type TLSSocket,
} from 'node:tls';
import { failureReason, isFault, withTimeout } from '../../base/index.ts';
import type { Address } from '../address.ts';
import { winrmFaults } from '../faults.ts';

export interface TlsTrust {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** SHA-256 of the host's certificate, hexadecimal, colons or not: then only this certificate is trusted, whoever signed it. */
  readonly fingerprint256?: string | undefined;
  /** Trusts whatever certificate is shown: messages are then safe from listeners, not from somebody in between. */
  readonly insecure?: boolean | undefined;
  /** Who we are, for a host that maps certificates to accounts. */
  readonly clientCertificate?: ClientCertificate | undefined;
}

/** PEM. */
export interface ClientCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Another way to `host:port` than a TCP connection of our own, such as a tunnel. What it throws is thrown on. */
export type SocketFactory = (host: string, port: number, signal?: AbortSignal) => Promise<Socket>;

export interface OpenSocket {
  readonly socket: Socket;
  /** The certificate the host showed, in DER; absent without TLS. */
  readonly certificate?: Uint8Array;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** Node's own default, which an option of Node or the environment could lower for everything in the process. */
const OLDEST_TLS: SecureVersion = 'TLSv1.2';

/** Throws `WINRM_UNREACHABLE`, `WINRM_TLS_REFUSED`, `WINRM_CERTIFICATE_…`, or the signal's reason. */
export async function openSocket(
  address: Address,
  trust: TlsTrust,
  signal?: AbortSignal,
  open?: SocketFactory,
): Promise<OpenSocket> {
  signal?.throwIfAborted();
  const { host, port } = address;
  // Before the deadline: somebody may be asked for a passphrase. A factory has time limits of its own.
  const carrier = await open?.(host, port, signal);
  using deadline = withTimeout(CONNECT_TIMEOUT_MS, 'connecting', signal);
  const socket = address.tls ? startTls(address, trust, carrier) : (carrier ?? connectTcp({ host, port }));
  // Small requests would otherwise wait for delayed acknowledgements: measured 40 ms a call.
  socket.setNoDelay(true);
  try {
    if (address.tls || !carrier) {
      await ready(socket, address.tls ? 'secureConnect' : 'connect', deadline.signal);
    }
    // A host that vanishes without a word is noticed while we wait for its answer.
    socket.setKeepAlive(true, 30_000);
    return address.tls ? { socket, certificate: judge(socket as TLSSocket, address, trust) } : { socket };
  } catch (error) {
    socket.destroy();
    if (signal?.aborted) throw signal.reason;
    throw openingFault(address, error, deadline.signal.aborted);
  }
}

function startTls({ host, port }: Address, trust: TlsTrust, carrier: Socket | undefined): TLSSocket {
  return connectTls({
    ...(carrier ? { socket: carrier } : { host, port }),
    secureContext: secureContextOf(trust),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // Judged in `judge`, before anything is sent, so that a refusal can name the certificate.
    rejectUnauthorized: false,
  });
}

function secureContextOf({ ca, clientCertificate }: TlsTrust): SecureContext {
  const trusted = { minVersion: OLDEST_TLS, ...(ca === undefined ? {} : { ca }) };
  if (!clientCertificate) return createSecureContext(trusted);
  const { certificate: cert, key } = clientCertificate;
  try {
    return createSecureContext({ ...trusted, cert, key });
  } catch (cause) {
    throw winrmFaults.clientCertificateUnusable({ reason: (cause as Error).message }, { cause });
  }
}

function ready(socket: Socket, event: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('aborted'));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    // Stays for good: an error of an idle socket would otherwise end the process. Who uses the socket learns of its close.
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed')));
    socket.once(event, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}

const NOT_NOW = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/** The certificate shown. A pinned one is trusted whoever signed it and whenever; any other by its chain, dates and name. */
function judge(socket: TLSSocket, address: Address, trust: TlsTrust): Uint8Array {
  // Once only: Node takes the certificate out of the chain, and a second call finds none.
  const shown = socket.getPeerX509Certificate();
  if (!shown) throw new Error('the host shows no certificate');
  const details = { host: address.host, port: address.port, fingerprint: shown.fingerprint256 };
  if (trust.fingerprint256 !== undefined) {
    if (plainHex(shown.fingerprint256) === plainHex(trust.fingerprint256)) return shown.raw;
    throw winrmFaults.certificateNotPinned(details);
  }
  if (trust.insecure || socket.authorized) return shown.raw;
  const reason = reasonOf(socket.authorizationError);
  if (NOT_NOW.includes(reason)) throw winrmFaults.certificateExpired({ ...details, reason });
  if (reason !== 'ERR_TLS_CERT_ALTNAME_INVALID')
    throw winrmFaults.certificateUntrusted({ ...details, reason });
  throw winrmFaults.certificateName({
    ...details,
    reason: `it is for ${shown.subjectAltName ?? shown.subject}`,
  });
}

/** A code, though Node declares it an error. */
function reasonOf(error: Error | string | null): string {
  if (typeof error === 'string') return error;
  return (error as NodeJS.ErrnoException | null)?.code ?? error?.message ?? 'unknown';
}

function plainHex(text: string): string {
  return text.replaceAll(':', '').toLowerCase();
}

function openingFault(address: Address, error: unknown, timedOut: boolean): Error {
  if (isFault(error)) return error;
  const { host, port } = address;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = timedOut ? `no answer in ${CONNECT_TIMEOUT_MS / 1000} s` : failureReason(error);
  // Codes of the network begin with E (ECONNREFUSED, EAI_AGAIN); those of TLS do not, but for these two.
  const network = timedOut || message === 'closed' || /^E(?!RR_|PROTO)/.test(code ?? '');
  const fault = address.tls && !network ? winrmFaults.tlsRefused : winrmFaults.unreachable;
  // Our own end of the waiting says nothing that the reason does not.
  return fault({ host, port, reason }, timedOut ? {} : { cause: error });
}
