/** One TCP or TLS connection, opened with a deadline and the certificate checked before a byte of ours is sent. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { withTimeout } from '../../base/index.ts';
import type { Address } from '../address.ts';
import { winrmFaults } from '../faults.ts';

export interface TlsTrust {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** SHA-256 of the host's certificate, hexadecimal, colons or not: then only this certificate is trusted, whoever signed it. */
  readonly fingerprint256?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 15_000;

/** Throws `WINRM_UNREACHABLE`, `WINRM_TLS_REFUSED`, or the signal's reason. */
export async function openSocket(address: Address, trust: TlsTrust, signal?: AbortSignal): Promise<Socket> {
  signal?.throwIfAborted();
  using deadline = withTimeout(CONNECT_TIMEOUT_MS, 'connecting', signal);
  const socket = address.tls
    ? startTls(address, trust)
    : connectTcp({ host: address.host, port: address.port });
  // Small requests would otherwise wait for delayed acknowledgements: measured 40 ms a call.
  socket.setNoDelay(true);
  try {
    await ready(socket, address.tls ? 'secureConnect' : 'connect', deadline.signal);
    if (address.tls) checkPin(socket as TLSSocket, trust);
  } catch (error) {
    socket.destroy();
    if (signal?.aborted) throw signal.reason;
    throw openingFault(address, error, deadline.signal.aborted);
  }
  // A host that vanishes without a word is noticed while we wait for its answer.
  socket.setKeepAlive(true, 30_000);
  return socket;
}

function startTls({ host, port }: Address, { ca, fingerprint256 }: TlsTrust): TLSSocket {
  return connectTls({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(ca === undefined ? {} : { ca }),
    // With a pinned fingerprint the chain does not matter: checkPin compares before anything is sent.
    rejectUnauthorized: fingerprint256 === undefined,
  });
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

class PinMismatch extends Error {}

function checkPin(socket: TLSSocket, { fingerprint256 }: TlsTrust): void {
  if (fingerprint256 === undefined) return;
  const plain = (text: string): string => text.replaceAll(':', '').toLowerCase();
  const actual = socket.getPeerX509Certificate()?.fingerprint256 ?? '';
  if (plain(actual) !== plain(fingerprint256)) {
    throw new PinMismatch(`the certificate has the SHA-256 fingerprint ${actual}`);
  }
}

function openingFault(address: Address, error: unknown, timedOut: boolean): Error {
  const { host, port } = address;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = timedOut ? `no answer in ${CONNECT_TIMEOUT_MS / 1000} s` : (code ?? message);
  // Codes of the network begin with E (ECONNREFUSED, EAI_AGAIN); those of TLS do not, but for these two.
  const network = timedOut || message === 'closed' || /^E(?!RR_|PROTO)/.test(code ?? '');
  const fault = address.tls && !network ? winrmFaults.tlsRefused : winrmFaults.unreachable;
  return fault({ host, port, reason }, { cause: error });
}
