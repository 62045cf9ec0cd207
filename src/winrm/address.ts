/** Where a host is spoken to. */
import { isIP } from 'node:net';
import { winrmFaults } from './faults.ts';

export interface Address {
  readonly tls: boolean;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** Scheme, host, port, path: `a:To`. */
  readonly text: string;
}

const DEFAULT_PORTS = { 'http:': 5985, 'https:': 5986 } as const;

/** Throws `WINRM_BAD_ADDRESS`, without repeating an address that may hold a password. */
export function parseAddress(url: string): Address {
  const parsed = URL.parse(url);
  if (!parsed) throw winrmFaults.badAddress({ reason: 'it is not a URL' });
  const { protocol } = parsed;
  if (protocol !== 'http:' && protocol !== 'https:')
    throw winrmFaults.badAddress({ reason: 'it is not http or https' });
  if (parsed.username !== '' || parsed.password !== '') {
    throw winrmFaults.badAddress({ reason: 'it holds a user or a password' });
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, '');
  const port = explicitPort(url) ?? DEFAULT_PORTS[protocol];
  const path = parsed.pathname === '/' ? '/wsman' : parsed.pathname;
  const written = isIP(host) === 6 ? `[${host}]` : host;
  return { tls: protocol === 'https:', host, port, path, text: `${protocol}//${written}:${port}${path}` };
}

/** `URL` drops a port that is the scheme's own (80, 443), but here a missing port means 5985 or 5986. */
function explicitPort(url: string): number | undefined {
  const digits = /^[^/]*\/\/[^/?#]*:(\d+)(?:[/?#]|$)/.exec(url.trim())?.[1];
  return digits === undefined ? undefined : Number(digits);
}
