/** Identify (DSP0226 11): the first message of every connection. Its sealed answer proves that the log-on holds. */
import { NS } from './names.ts';
import { childOf } from './xml.ts';
import { readEnvelope } from './envelope.ts';

export const IDENTIFY =
  `<s:Envelope xmlns:s="${NS.soap}" xmlns:i="${NS.identity}"><s:Header/>` +
  `<s:Body><i:Identify/></s:Body></s:Envelope>`;

export interface HostIdentity {
  readonly vendor: string;
  /** `OS: 10.0.20348 SP: 0.0 Stack: 3.0` */
  readonly version: string;
  readonly protocol: string;
}

/** `undefined` when the host answered with a fault: it is there and lets us in, but does not introduce itself. */
export function readIdentity(xml: string): HostIdentity | undefined {
  const { content } = readEnvelope(xml);
  if (content?.uri !== NS.identity || content.name !== 'IdentifyResponse') return undefined;
  const textOf = (name: string): string => childOf(content, NS.identity, name)?.text.trim() ?? '';
  return {
    vendor: textOf('ProductVendor'),
    version: textOf('ProductVersion'),
    protocol: textOf('ProtocolVersion'),
  };
}
