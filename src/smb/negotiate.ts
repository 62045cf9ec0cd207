/**
 * NEGOTIATE: one dialect is offered, 3.1.1, with two ciphers, and nothing less is accepted. MS-SMB2 2.2.3, 2.2.4, 3.2.5.2.
 *
 * This exchange is not encrypted. It is hashed into the session's keys instead, so that a man in the middle who changes a
 * byte of it ends up with a session in which nothing decrypts.
 */
import { randomBytes } from 'node:crypto';
import { CIPHERS, type CipherName } from './cipher.ts';
import {
  CAPABILITY,
  CONTEXT,
  DIALECT_311,
  HASH_SHA512,
  negotiateContext,
  negotiateRequest,
  negotiateResponse,
  SIGNING,
} from './format.ts';
import { HEADER_BYTES, Malformed, paddedTo8, readBody, readSpan, writeBody } from './message.ts';

export interface Agreement {
  readonly dialect: number;
  /** Absent when the server chose none of ours. */
  readonly cipher: CipherName | undefined;
  /** The most bytes one READ may ask for. */
  readonly maxReadSize: number;
}

const SALT_BYTES = 32;
/** A server answers with one context of each kind it knows; Windows knows eight. */
const CONTEXTS_MAX = 16;

export function writeNegotiate(clientGuid: string): Uint8Array {
  const dialects = littleEndian16(DIALECT_311);
  const contextOffset = Math.ceil((HEADER_BYTES + negotiateRequest.size + dialects.length) / 8) * 8;
  const gap = new Uint8Array(contextOffset - HEADER_BYTES - negotiateRequest.size - dialects.length);
  const contexts = [
    contextOf(CONTEXT.preauthIntegrity, [
      littleEndian16(1, SALT_BYTES, HASH_SHA512),
      randomBytes(SALT_BYTES),
    ]),
    contextOf(CONTEXT.encryption, [
      littleEndian16(Object.keys(CIPHERS).length, ...Object.values(CIPHERS).map(({ id }) => id)),
    ]),
  ];
  return writeBody(
    negotiateRequest,
    {
      dialectCount: 1,
      securityMode: SIGNING.enabled | SIGNING.required,
      capabilities: CAPABILITY.largeMtu | CAPABILITY.encryption,
      clientGuid,
      contextOffset,
      contextCount: contexts.length,
    },
    [dialects, gap, paddedTo8(contexts[0]!), contexts[1]!],
    false,
  );
}

/** Throws `Malformed`. Whether the agreement is good enough is for the caller to judge. */
export function readNegotiate(bytes: Uint8Array): Agreement {
  const body = readBody(negotiateResponse, bytes);
  if (body.dialect !== DIALECT_311) {
    return { dialect: body.dialect, cipher: undefined, maxReadSize: body.maxReadSize };
  }
  const contexts = readContexts(bytes, body.contextOffset, body.contextCount);
  checkHash(contexts.get(CONTEXT.preauthIntegrity));
  const cipher = chosenCipher(contexts.get(CONTEXT.encryption));
  return { dialect: body.dialect, cipher, maxReadSize: body.maxReadSize };
}

function readContexts(bytes: Uint8Array, offset: number, count: number): Map<number, Uint8Array> {
  if (count > CONTEXTS_MAX) throw new Malformed(`${count} negotiate contexts`);
  const contexts = new Map<number, Uint8Array>();
  let at = offset;
  for (let index = 0; index < count; index += 1) {
    readSpan(bytes, at, negotiateContext.size, 'a negotiate context');
    const { type, length } = negotiateContext.read(bytes, at);
    if (contexts.has(type)) throw new Malformed('a negotiate context comes twice');
    contexts.set(type, readSpan(bytes, at + negotiateContext.size, length, 'a negotiate context'));
    at += negotiateContext.size + Math.ceil(length / 8) * 8;
  }
  return contexts;
}

/** 2.2.4.1.1: exactly one hash algorithm, and only one exists. */
function checkHash(data: Uint8Array | undefined): void {
  if (!data || data.length < 6) throw new Malformed('no pre-authentication integrity context');
  const words = Buffer.from(data.buffer, data.byteOffset, 6);
  if (words.readUInt16LE(0) !== 1 || words.readUInt16LE(4) !== HASH_SHA512) {
    throw new Malformed('a pre-authentication hash that was not offered');
  }
}

/** 2.2.4.1.2: one cipher; 0 when none of ours suits the server. */
function chosenCipher(data: Uint8Array | undefined): CipherName | undefined {
  if (!data) return undefined;
  if (data.length < 4) throw new Malformed('the encryption context is cut short');
  const id = Buffer.from(data.buffer, data.byteOffset, 4).readUInt16LE(2);
  const names = Object.keys(CIPHERS) as CipherName[];
  return names.find((name) => CIPHERS[name].id === id);
}

function contextOf(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const data = Buffer.concat(parts);
  const head = new Uint8Array(negotiateContext.size);
  negotiateContext.write(head, { type, length: data.length });
  return Buffer.concat([head, data]);
}

function littleEndian16(...values: number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value & 0xff, value >>> 8]));
}
