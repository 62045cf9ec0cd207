/**
 * NBD on the wire: fixed newstyle negotiation and transmission, as the protocol description of the NBD project has it
 * (doc/proto.md, state of 2026-05). All numbers are big-endian.
 *
 *   server ── greeting ─────────────► client
 *   server ◄── flags ──────────────── client
 *   server ◄── option ─────────────── client      STARTTLS, STRUCTURED_REPLY, SET_META_CONTEXT, … , GO
 *   server ── option replies ───────► client
 *   server ◄── requests ───────────── client      from here on transmission, in any order, many at once
 *   server ── replies ──────────────► client
 */
import { struct, u16, u32, u64, u64big } from '../base/index.ts';

/** "NBDMAGIC" */
export const GREETING_MAGIC = 0x4e42_444d_4147_4943n;
/** "IHAVEOPT" */
export const OPTION_MAGIC = 0x4948_4156_454f_5054n;
export const OPTION_REPLY_MAGIC = 0x0003_e889_0455_65a9n;
export const REQUEST_MAGIC = 0x2560_9513;
export const SIMPLE_REPLY_MAGIC = 0x6744_6698;
export const STRUCTURED_REPLY_MAGIC = 0x668e_33ef;

/** Of the greeting and of the client's answer to it. */
export const HANDSHAKE_FLAG = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const OPTION_REPLY = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;
/** Errors have the highest bit set. */
export const OPTION_ERROR = {
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  platform: 0x8000_0004,
  tlsRequired: 0x8000_0005,
  unknownExport: 0x8000_0006,
  shutdown: 0x8000_0007,
  blockSizeRequired: 0x8000_0008,
  tooBig: 0x8000_0009,
} as const;

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const EXPORT_FLAG = {
  hasFlags: 1,
  readOnly: 2,
  sendFlush: 4,
  sendFua: 8,
  rotational: 16,
  sendTrim: 32,
  sendWriteZeroes: 64,
  sendDf: 128,
  canMultiConn: 256,
} as const;

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const COMMAND_FLAG = { fua: 1, noHole: 2, df: 4, reqOne: 8 } as const;

export const CHUNK_FLAG = { done: 1 } as const;
export const CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** The numbers of Linux, whatever the systems are. */
export const ERROR = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

/** The context of block status that everybody has, and its bits. */
export const ALLOCATION_CONTEXT = 'base:allocation';
export const ALLOCATION_FLAG = { hole: 1, readsAsZero: 2 } as const;

/** Who says nothing of block sizes takes this much in one message, and wants multiples of a sector. */
export const DEFAULT_PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
export const DEFAULT_MINIMUM_BLOCK = 512;
/** Names of exports and contexts. */
export const STRING_BYTES_MAX = 4096;

export const greeting = struct(
  'greeting',
  18,
  { magic: u64big(0), optionMagic: u64big(8), flags: u16(16) },
  'big',
);
export const optionHeader = struct(
  'option',
  16,
  { magic: u64big(0), option: u32(8), length: u32(12) },
  'big',
);
export const optionReply = struct(
  'option reply',
  20,
  { magic: u64big(0), option: u32(8), type: u32(12), length: u32(16) },
  'big',
);
export const exportInfo = struct('INFO_EXPORT', 12, { type: u16(0), size: u64(2), flags: u16(10) }, 'big');
export const blockSizeInfo = struct(
  'INFO_BLOCK_SIZE',
  14,
  { type: u16(0), minimum: u32(2), preferred: u32(6), maximum: u32(10) },
  'big',
);
/** The answer to EXPORT_NAME; 124 zeros more for clients that did not say `noZeroes`. */
export const exportNameAnswer = struct('EXPORT_NAME answer', 10, { size: u64(0), flags: u16(8) }, 'big');
export const EXPORT_NAME_ZEROES = 124;

/** A name, preceded by its length. */
export function encodeString(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/* The messages of transmission, by hand: they are read and written a hundred thousand times a second. */

export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_BYTES = 20;

export interface Request {
  readonly flags: number;
  readonly command: number;
  /** Two halves of what the server sends back unread. */
  readonly cookie: Cookie;
  readonly offset: number;
  readonly length: number;
}

export interface Cookie {
  readonly high: number;
  readonly low: number;
}

export interface Chunk {
  readonly flags: number;
  readonly type: number;
  readonly length: number;
}

export function encodeRequest({ flags, command, cookie, offset, length }: Request): Buffer {
  const bytes = Buffer.allocUnsafe(REQUEST_BYTES);
  bytes.writeUInt32BE(REQUEST_MAGIC, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(command, 6);
  writeCookie(bytes, cookie);
  writeOffset(bytes, 16, offset);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

/** Undefined when the magic is wrong. An offset beyond 2^53 comes out as a number larger than any disk. */
export function decodeRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== REQUEST_MAGIC) return undefined;
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookie: readCookie(bytes),
    offset: readOffset(bytes, 16),
    length: bytes.readUInt32BE(24),
  };
}

export function encodeSimpleReply(cookie: Cookie, error: number): Buffer {
  const bytes = Buffer.allocUnsafe(SIMPLE_REPLY_BYTES);
  bytes.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  bytes.writeUInt32BE(error, 4);
  writeCookie(bytes, cookie);
  return bytes;
}

/** `extra`: bytes of the chunk's own fields, which stand behind the header in the same buffer. */
export function encodeChunk(cookie: Cookie, chunk: Chunk, extra = 0): Buffer {
  const bytes = Buffer.allocUnsafe(CHUNK_BYTES + extra);
  bytes.writeUInt32BE(STRUCTURED_REPLY_MAGIC, 0);
  bytes.writeUInt16BE(chunk.flags, 4);
  bytes.writeUInt16BE(chunk.type, 6);
  writeCookie(bytes, cookie);
  bytes.writeUInt32BE(chunk.length, 16);
  return bytes;
}

export function decodeChunk(bytes: Buffer): Chunk {
  return { flags: bytes.readUInt16BE(4), type: bytes.readUInt16BE(6), length: bytes.readUInt32BE(16) };
}

/** In request, reply and chunk the cookie stands at the same place. */
export function readCookie(bytes: Buffer): Cookie {
  return { high: bytes.readUInt32BE(8), low: bytes.readUInt32BE(12) };
}

function writeCookie(bytes: Buffer, { high, low }: Cookie): void {
  bytes.writeUInt32BE(high, 8);
  bytes.writeUInt32BE(low, 12);
}

export function writeOffset(bytes: Buffer, at: number, offset: number): void {
  bytes.writeUInt32BE(Math.floor(offset / 2 ** 32), at);
  bytes.writeUInt32BE(offset % 2 ** 32, at + 4);
}

export function readOffset(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}
