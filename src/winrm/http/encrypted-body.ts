/**
 * The frame around a sealed message. MS-WSMV 2.2.9.1.
 *
 *   --Encrypted Boundary CRLF
 *   HT Content-Type: application/HTTP-SPNEGO-session-encrypted CRLF          (scheme Kerberos: HTTP-Kerberos-…)
 *   HT OriginalContent: type=application/soap+xml;charset=UTF-8;Length=<bytes of plaintext> CRLF
 *   --Encrypted Boundary CRLF
 *   HT Content-Type: application/octet-stream CRLF
 *   u32 length of signature, signature, ciphertext, then at once --Encrypted Boundary-- CRLF
 *
 * Read by its lengths: ciphertext may well contain the boundary. The HT is optional on reading, as is a blank after `--`.
 */
import { winrmFaults } from '../faults.ts';
import type { SealedMessage } from '../../auth/index.ts';
import type { Scheme } from './log-on.ts';

const PROTOCOLS: Readonly<Record<Scheme, string>> = {
  Negotiate: 'application/HTTP-SPNEGO-session-encrypted',
  Kerberos: 'application/HTTP-Kerberos-session-encrypted',
};

export function encryptedContentType(scheme: Scheme): string {
  return `multipart/encrypted;protocol="${PROTOCOLS[scheme]}";boundary="Encrypted Boundary"`;
}

const HEAD = (length: number, scheme: Scheme): string =>
  '--Encrypted Boundary\r\n' +
  `\tContent-Type: ${PROTOCOLS[scheme]}\r\n` +
  `\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=${length}\r\n` +
  '--Encrypted Boundary\r\n' +
  '\tContent-Type: application/octet-stream\r\n';
const TAIL = '--Encrypted Boundary--\r\n';

/** A line of the head is 80 characters; six of them are allowed for before the binary part. */
const LINE_BYTES_MAX = 512;
const HEAD_LINES_MAX = 8;
/** NTLM has 16, Kerberos 60 to 72 bytes. */
const SIGNATURE_BYTES_MIN = 16;
const SIGNATURE_BYTES_MAX = 256;

export function isEncrypted(contentType: string | undefined): boolean {
  return /^multipart\/encrypted\b/i.test(contentType ?? '');
}

export function writeEncryptedBody({ signature, ciphertext }: SealedMessage, scheme: Scheme): Uint8Array {
  const signatureLength = Buffer.alloc(4);
  signatureLength.writeUInt32LE(signature.length);
  const head = Buffer.from(HEAD(ciphertext.length, scheme), 'latin1');
  return Buffer.concat([head, signatureLength, signature, ciphertext, Buffer.from(TAIL, 'latin1')]);
}

export interface EncryptedBody extends SealedMessage {
  /** Of the plaintext. */
  readonly charset: string;
}

/** Throws `WINRM_PROTOCOL_BROKEN` unless every length fits. */
export function readEncryptedBody(body: Buffer): EncryptedBody {
  const { length, charset, end } = readHead(body);
  const signatureLength = end + 4 > body.length ? 0 : body.readUInt32LE(end);
  if (signatureLength < SIGNATURE_BYTES_MIN || signatureLength > SIGNATURE_BYTES_MAX) {
    throw broken('it has no usable signature');
  }
  const ciphertextAt = end + 4 + signatureLength;
  const tail = body.toString('latin1', ciphertextAt + length, ciphertextAt + length + 64);
  if (!/^--\s?Encrypted Boundary--(?:\r\n)?$/.test(tail)) throw broken('its length is not the one it states');
  return {
    signature: body.subarray(end + 4, ciphertextAt),
    ciphertext: body.subarray(ciphertextAt, ciphertextAt + length),
    charset,
  };
}

interface Head {
  readonly length: number;
  readonly charset: string;
  /** Where the binary part begins. */
  readonly end: number;
}

function readHead(body: Buffer): Head {
  let end = 0;
  let original: { length: number; charset: string } | undefined;
  for (let lines = 0; lines < HEAD_LINES_MAX; lines += 1) {
    const newline = body.indexOf('\r\n', end, 'latin1');
    if (newline < 0 || newline - end > LINE_BYTES_MAX) break;
    const line = body.toString('latin1', end, newline).trim();
    end = newline + 2;
    original = /^OriginalContent:/i.test(line) ? readOriginal(line) : original;
    if (/^Content-Type:\s*application\/octet-stream$/i.test(line) && original) return { ...original, end };
  }
  throw broken('its head is not that of an encrypted message');
}

function readOriginal(line: string): { length: number; charset: string } | undefined {
  const length = /;\s*Length=(\d{1,10})\s*$/i.exec(line)?.[1];
  if (length === undefined) return undefined;
  return { length: Number(length), charset: /charset=([\w-]+)/i.exec(line)?.[1] ?? 'UTF-8' };
}

function broken(reason: string): Error {
  return winrmFaults.protocolBroken({ reason: `as an encrypted message, ${reason}` });
}
