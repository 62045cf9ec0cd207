/**
 * Where an export is, as the NBD URI specification writes it:
 *
 *   nbd://host[:port]/export     nbds://…  the same over TLS
 *   nbd+unix:///export?socket=/run/x.sock     nbds+unix://…
 */
import { nbdFaults } from './faults.ts';

export const NBD_PORT = 10_809;

export type NbdPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface NbdAddress {
  readonly place: NbdPlace;
  readonly exportName: string;
  readonly tls: boolean;
}

/** Throws `NBD_ADDRESS_INVALID`. */
export function parseNbdAddress(address: string): NbdAddress {
  const [, scheme, rest] = /^(nbds?(?:\+unix)?):\/\/(.*)$/s.exec(address) ?? [];
  if (scheme === undefined || rest === undefined)
    throw invalid(address, 'it does not begin with nbd:// or nbds://');
  const isUnix = scheme.endsWith('+unix');
  const url = URL.parse(`http://${isUnix ? `unix${rest.startsWith('/') ? '' : '/'}` : ''}${rest}`);
  if (!url || rest === '' || (!isUnix && rest.startsWith('/')))
    throw invalid(address, 'it names no host, or none that can be read');
  if (url.username || url.password) throw invalid(address, 'NBD knows no users');
  const place = isUnix ? unixPlace(url, address) : tcpPlace(url, rest);
  return { place, exportName: exportNameOf(url, address), tls: scheme.startsWith('nbds') };
}

export function describePlace(place: NbdPlace): string {
  return place.kind === 'unix' ? place.path : `${place.host} port ${place.port}`;
}

function tcpPlace(url: URL, rest: string): NbdPlace {
  // The URL was read as http, whose own port goes without saying.
  const port = url.port === '' ? (/^[^/?#]*:80(?=[/?#]|$)/.test(rest) ? 80 : NBD_PORT) : Number(url.port);
  return { kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port };
}

function unixPlace(url: URL, address: string): NbdPlace {
  const path = url.searchParams.get('socket');
  if (!path) throw invalid(address, 'it names no socket (?socket=/path)');
  return { kind: 'unix', path };
}

function exportNameOf({ pathname }: URL, address: string): string {
  try {
    return decodeURIComponent(pathname.slice(1));
  } catch {
    throw invalid(address, 'the name of the export has a per cent sign that means nothing');
  }
}

function invalid(address: string, reason: string): Error {
  return nbdFaults.addressInvalid({ address, reason });
}
