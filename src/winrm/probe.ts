/**
 * Who answers at an address, found out without a log-on: one empty request, which a WinRM service answers with 401, the
 * mechanisms it offers and its time. For diagnosis only; nothing of it is believed by a session.
 */
import { X509Certificate } from 'node:crypto';
import { hasCode } from '../base/index.ts';
import { parseAddress, type Address } from './address.ts';
import { winrmFaults } from './faults.ts';
import { HttpExchange, type HttpReply } from './http/exchange.ts';
import { openSocket, type SocketFactory, type TlsTrust } from './http/socket.ts';

export interface WinrmProbeOptions extends Pick<TlsTrust, 'ca' | 'fingerprint256' | 'insecure'> {
  readonly url: string;
  readonly createConnection?: SocketFactory;
  readonly signal?: AbortSignal;
}

export interface WinrmProbe {
  /** Schemes of the 401, as `Negotiate` and `Kerberos`. */
  readonly offers: readonly string[];
  /** How far the clock of the host is ahead of ours, to a second or so; absent when the answer has no `Date`. */
  readonly clockAheadMs?: number;
  /** https only. */
  readonly certificate?: ShownCertificate;
}

export interface ShownCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly validTo: Date;
  readonly fingerprint256: string;
}

/** Some services let an empty request without a log-on hang; a WinRM service answers at once. */
const ANSWER_TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * Throws `WINRM_BAD_ADDRESS`, `WINRM_UNREACHABLE`, `WINRM_TLS_REFUSED`, `WINRM_CERTIFICATE_…`, `WINRM_NOT_WINRM`,
 * `WINRM_CONNECTION_LOST`, `WINRM_SILENT`, what `createConnection` throws, or the signal's reason.
 */
export async function probeWinrm({ url, signal, ...options }: WinrmProbeOptions): Promise<WinrmProbe> {
  const address = parseAddress(url);
  const { socket, certificate } = await openSocket(address, options, signal, options.createConnection);
  const http = new HttpExchange(socket, address);
  try {
    const askedMs = Date.now();
    const reply = await http
      .post({ 'Content-Type': 'application/soap+xml;charset=UTF-8' }, new Uint8Array(0), {
        signal,
        delivery: { mayHaveRun: false },
        timeoutMs: ANSWER_TIMEOUT_MS,
        bodyBytesMax: ANSWER_BYTES_MAX,
        resource: 'a first look',
      })
      .catch((error: unknown) => {
        if (!hasCode(error, 'WINRM_TIMED_OUT')) throw error;
        const { host, port } = address;
        throw winrmFaults.silent({ host, port, seconds: ANSWER_TIMEOUT_MS / 1000 });
      });
    const betweenMs = (askedMs + Date.now()) / 2;
    return {
      offers: offersOf(reply, address),
      ...aheadOf(reply, betweenMs),
      ...(certificate ? { certificate: shown(certificate) } : {}),
    };
  } finally {
    http.close();
  }
}

function offersOf({ status, headers }: HttpReply, { host, port }: Address): string[] {
  if (status !== 401) throw winrmFaults.notWinrm({ host, port, status });
  return (headers['www-authenticate'] ?? '')
    .split(',')
    .map((offer) => offer.trim().split(/\s/)[0]!)
    .filter((scheme) => /^[A-Za-z]{3,20}$/.test(scheme));
}

function aheadOf({ headers }: HttpReply, ourMs: number): Pick<WinrmProbe, 'clockAheadMs'> {
  const theirMs = Date.parse(headers.date ?? '');
  // The header has whole seconds, cut off: half of one is what it is behind on average.
  return Number.isNaN(theirMs) ? {} : { clockAheadMs: Math.round(theirMs + 500 - ourMs) };
}

function shown(der: Uint8Array): ShownCertificate {
  const { subject, issuer, validTo, fingerprint256 } = new X509Certificate(der);
  return { subject, issuer, validTo: new Date(validTo), fingerprint256 };
}
