/** The bytes of an envelope as text. */
import { winrmFaults } from '../faults.ts';

/** Throws `WINRM_PROTOCOL_BROKEN` for another charset than UTF-8 and UTF-16, and for bytes that are not of it. */
export function decodeText(bytes: Uint8Array, charset: string): string {
  if (!/^utf-(8|16|16le)$/i.test(charset))
    throw winrmFaults.protocolBroken({ reason: `it is in ${charset}` });
  try {
    return new TextDecoder(charset, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw winrmFaults.protocolBroken({ reason: `it is not ${charset}` }, { cause });
  }
}
