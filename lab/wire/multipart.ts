/**
 * Message encryption inside HTTP (MS-WSMV 2.2.9.1): one body holds a description, then a signature and the sealed SOAP
 * envelope. The payload is cut by its own lengths; searching the boundary inside binary data would find false ones.
 *
 *   --Encrypted Boundary CRLF
 *   HT Content-Type: application/HTTP-SPNEGO-session-encrypted CRLF
 *   HT OriginalContent: type=application/soap+xml;charset=UTF-8;Length=<plain bytes> CRLF
 *   --Encrypted Boundary CRLF
 *   HT Content-Type: application/octet-stream CRLF
 *   uint32 signature length | signature | sealed bytes | --Encrypted Boundary-- CRLF
 */
import { viewOf } from '../../src/base/index.ts';
import { SIGNATURE_SIZE, type SealedMessage } from './sealing.ts';

const PROTOCOL = 'application/HTTP-SPNEGO-session-encrypted';
export const ENCRYPTED_CONTENT_TYPE = `multipart/encrypted;protocol="${PROTOCOL}";boundary="Encrypted Boundary"`;
const CLOSING = '--Encrypted Boundary--\r\n';
/** Some clients leave the tabulators out and a Windows host accepts that (WinRb does so). */
const DESCRIPTION = new RegExp(
  '^--Encrypted Boundary\\r\\n' +
    '\\t?Content-Type: application/HTTP-SPNEGO-session-encrypted\\r\\n' +
    '\\t?OriginalContent: type=application/soap\\+xml;charset=UTF-8;Length=(\\d{1,10})\\r\\n' +
    '--Encrypted Boundary\\r\\n' +
    '\\t?Content-Type: application/octet-stream\\r\\n',
  'i',
);
/** No sender needs more for the description, and a bound keeps the search off the payload. */
const DESCRIPTION_BYTES_MAX = 512;

export function isEncryptedType(contentType: string | undefined): boolean {
  return contentType !== undefined && /^multipart\/encrypted\b/i.test(contentType);
}

/** The signature and sealed bytes of a body; `undefined` when it is not framed as above. */
export function readFrame(body: Uint8Array): SealedMessage | undefined {
  const description = DESCRIPTION.exec(
    Buffer.from(body.subarray(0, DESCRIPTION_BYTES_MAX)).toString('latin1'),
  );
  if (!description) return undefined;
  const at = description[0].length;
  const sealedAt = at + 4 + SIGNATURE_SIZE;
  const sealedEnd = sealedAt + Number(description[1]);
  if (sealedEnd + CLOSING.length !== body.length) return undefined;
  if (viewOf(body).getUint32(at, true) !== SIGNATURE_SIZE) return undefined;
  if (Buffer.from(body.subarray(sealedEnd)).toString('latin1') !== CLOSING) return undefined;
  return { signature: body.subarray(at + 4, sealedAt), sealed: body.subarray(sealedAt, sealedEnd) };
}

export function writeFrame({ signature, sealed }: SealedMessage): Buffer {
  const description =
    `--Encrypted Boundary\r\n\tContent-Type: ${PROTOCOL}\r\n` +
    `\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=${sealed.length}\r\n` +
    '--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n';
  const length = Buffer.alloc(4);
  length.writeUInt32LE(signature.length);
  return Buffer.concat([Buffer.from(description), length, signature, sealed, Buffer.from(CLOSING)]);
}
