/** Messages of SFTP taken apart and put together. What does not fit is {@link Malformed}; the session makes it a fault. */
import {
  ATTRIBUTE,
  HANDLE_BYTES_MAX,
  KIND_FILE,
  KIND_FOLDER,
  KIND_MASK,
  OPEN_FOR_READING,
  REQUEST,
  VERSION,
  type RequestName,
} from './format.ts';

/** A message that breaks the specification. Its text says how, and is shown to the user as a reason. */
export class Malformed extends Error {}

export interface Attributes {
  /** Bytes. */
  readonly size: number;
  readonly kind: 'file' | 'folder' | 'other';
  /** Seconds since 1970: SFTP has no finer ones. */
  readonly modified: number;
}

export interface Entry extends Attributes {
  readonly name: string;
}

export interface Status {
  readonly code: number;
  /** What the server says about it. */
  readonly text: string;
}

/** Every request after INIT has an id, which its answer repeats. */
export function writeInit(): Buffer {
  return framed(REQUEST.INIT, VERSION, Buffer.alloc(0));
}

export function writeOpen(id: number, path: string, flags = OPEN_FOR_READING): Buffer {
  return framed(REQUEST.OPEN, id, Buffer.concat([text(path), numbers(flags, 0)]));
}

export function writeWrite(id: number, handle: Uint8Array, offset: number, bytes: Uint8Array): Buffer {
  const place = numbers(Math.floor(offset / 2 ** 32), offset % 2 ** 32);
  return framed(REQUEST.WRITE, id, Buffer.concat([text(handle), place, text(bytes)]));
}

export function writeRename(id: number, from: string, to: string): Buffer {
  return framed(REQUEST.RENAME, id, Buffer.concat([text(from), text(to)]));
}

export function writeMakeFolder(id: number, path: string): Buffer {
  return framed(REQUEST.MKDIR, id, Buffer.concat([text(path), numbers(0)]));
}

/** A request that the server said it knows beyond the standard. */
export function writeExtended(id: number, name: string, argument: Uint8Array): Buffer {
  return framed(REQUEST.EXTENDED, id, Buffer.concat([text(name), text(argument)]));
}

export function writeRead(id: number, handle: Uint8Array, offset: number, length: number): Buffer {
  const place = numbers(Math.floor(offset / 2 ** 32), offset % 2 ** 32, length);
  return framed(REQUEST.READ, id, Buffer.concat([text(handle), place]));
}

/** A request whose one argument is a path or a handle. */
export function writeOf(name: RequestName, id: number, argument: string | Uint8Array): Buffer {
  return framed(REQUEST[name], id, text(argument));
}

function framed(type: number, id: number, body: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(9 + body.length);
  message.writeUInt32BE(5 + body.length, 0);
  message[4] = type;
  message.writeUInt32BE(id, 5);
  message.set(body, 9);
  return message;
}

function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([numbers(bytes.length), bytes]);
}

function numbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
}

export function readHandle(body: Buffer): Buffer {
  const handle = new Cursor(body).string();
  if (handle.length > HANDLE_BYTES_MAX) throw new Malformed(`a handle of ${handle.length} bytes`);
  return handle;
}

export function readStatus(body: Buffer): Status {
  const cursor = new Cursor(body);
  const code = cursor.u32();
  // Servers of version 2 and before send the code alone.
  return { code, text: cursor.atEnd ? '' : cursor.string().toString('utf8', 0, 200) };
}

export function readAttributes(body: Buffer): Attributes {
  return attributes(new Cursor(body));
}

/** The entries of one answer to READDIR. */
export function readEntries(body: Buffer): Entry[] {
  const cursor = new Cursor(body);
  const entries: Entry[] = [];
  for (let left = cursor.u32(); left > 0; left -= 1) {
    const name = cursor.string().toString('utf8');
    cursor.string();
    entries.push({ name, ...attributes(cursor) });
  }
  return entries;
}

/** What a server says in VERSION it knows beyond the standard. */
export function readExtensions(body: Buffer): string[] {
  const cursor = new Cursor(body);
  const names: string[] = [];
  while (!cursor.atEnd) {
    names.push(cursor.string().toString('utf8'));
    cursor.string();
  }
  return names;
}

function attributes(cursor: Cursor): Attributes {
  const flags = cursor.u32();
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const size = has(ATTRIBUTE.size) ? cursor.u64() : -1;
  if (has(ATTRIBUTE.owners)) cursor.skip(8);
  const kind = kindOf(has(ATTRIBUTE.permissions) ? cursor.u32() : 0);
  if (has(ATTRIBUTE.times)) cursor.skip(4);
  const modified = has(ATTRIBUTE.times) ? cursor.u32() : 0;
  if (has(ATTRIBUTE.extended)) {
    for (let left = cursor.u32(); left > 0; left -= 1) {
      cursor.string();
      cursor.string();
    }
  }
  return { size, kind, modified };
}

function kindOf(permissions: number): Attributes['kind'] {
  const kind = permissions & KIND_MASK;
  if (kind === KIND_FOLDER) return 'folder';
  return kind === KIND_FILE ? 'file' : 'other';
}

/** Reads on; throws when the message is shorter than it claims. */
class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#taken(4));
  }

  u64(): number {
    const value = this.u32() * 2 ** 32 + this.u32();
    if (!Number.isSafeInteger(value)) throw new Malformed('a size beyond 2^53');
    return value;
  }

  string(): Buffer {
    const length = this.u32();
    const at = this.#taken(length);
    return this.#bytes.subarray(at, at + length);
  }

  skip(length: number): void {
    this.#taken(length);
  }

  #taken(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) throw new Malformed('shorter than it claims');
    this.#at = at + length;
    return at;
  }
}
