/**
 * The wrap token of Kerberos in the two forms it has on the wire. RFC 4121 4.2.4, 4.2.6.2.
 *
 *   gss_wrap      header(16) | confounder(16) message filler header'(16) checksum        RRC 0
 *   WinRM, SSPI   header(16) | filler header' checksum | confounder | message           RRC = length of the second part
 *                 └──────────────── signature ────────────────────┘ └ ciphertext ┘
 *
 * The second is the first with what follows the header rotated to the right by RRC. Both sides of a rotation are encrypted
 * alike, so it is done on the finished token; every receiver turns it back by the RRC it reads.
 */
import type { SealedMessage } from './security-context.ts';

const HEADER_BYTES = 16;
const CONFOUNDER_BYTES = 16;
/** RFC 4121 4.2.6.2: TOK_ID of a wrap token; offset of RRC. */
const WRAP_TOKEN = 0x0504;
const RRC_OFFSET = 6;

/** Older keys than those of AES have another frame around their messages (RFC 4757 7.3). */
export function isAesWrapToken(token: Uint8Array): boolean {
  return token[0] === WRAP_TOKEN >>> 8 && token[1] === (WRAP_TOKEN & 0xff);
}

/** `undefined` when `token` is not what gss_wrap makes with an AES key. */
export function splitWrapToken(token: Uint8Array, messageBytes: number): SealedMessage | undefined {
  const view = new DataView(token.buffer, token.byteOffset, token.length);
  const tail = token.length - HEADER_BYTES - CONFOUNDER_BYTES - messageBytes;
  if (tail < CONFOUNDER_BYTES || !isAesWrapToken(token)) return undefined;
  if (view.getUint16(RRC_OFFSET) !== 0) return undefined;
  const header = Buffer.from(token.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(tail, RRC_OFFSET);
  const end = token.length - tail;
  const confounderEnd = HEADER_BYTES + CONFOUNDER_BYTES;
  return {
    signature: Buffer.concat([header, token.subarray(end), token.subarray(HEADER_BYTES, confounderEnd)]),
    ciphertext: token.subarray(confounderEnd, end),
  };
}

/**
 * Turned back by what its lengths say, whatever RRC says: MS-KILE 3.4.5.4.1 lets a sender fill up the message (EC) and rotate
 * by RRC + EC. RRC is no part of what is protected, so a wrong one costs at most a message that does not verify.
 */
export function joinWrapToken({ signature, ciphertext }: SealedMessage): Uint8Array {
  const token = Buffer.concat([signature, ciphertext]);
  const rotation = signature.length - HEADER_BYTES - CONFOUNDER_BYTES;
  if (rotation > 0) token.writeUInt16BE(rotation, RRC_OFFSET);
  return token;
}
