/**
 * Objects: the smallest thing a repository stores, self-contained.
 *
 *   raw bytes ──HMAC-SHA-256──► id      (kind byte first, so that a page is never taken for data)
 *       └──zstd──► └──AES-256-GCM, header as associated data──► header (96 bytes) ‖ stored bytes
 *
 * The cipher key is HMAC(seal key, salt); the salt stands in the header, so an object can be copied into another pack as
 * it is. Nonces are random: a session writes far fewer than the 2^32 objects that one key allows for.
 * Opening verifies everything: header, authentication, length, and that the content has the id it is known by.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { assert, copyBytes, free } from '../base/index.ts';
import { alignedBytes } from '../disk/index.ts';
import {
  COMPRESSION,
  ENCRYPTION,
  KINDS,
  NONCE_BYTES,
  OBJECT_MAGIC,
  OBJECT_RAW_MAX,
  SLOT_BYTES,
  SALT_BYTES,
  TAG_BYTES,
  closeStruct,
  isMapPage,
  isWhole,
  objectHeader,
  type ObjectKind,
} from './format.ts';
import type { ObjectKeys } from './keys.ts';
import { decompress, withFrame } from './zstd.ts';

export const HEADER_BYTES = objectHeader.size;
/** What sealing adds at most. */
export const OVERHEAD_BYTES = HEADER_BYTES + TAG_BYTES;

/** Why bytes are not the object they should be: becomes the `problem` of a fault that also says where. */
export class ObjectProblem extends Error {}

export interface OpenedHeader {
  readonly kind: number;
  readonly compression: number;
  readonly encryption: number;
  readonly rawLength: number;
  readonly storedLength: number;
  readonly id: Uint8Array;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
}

/** Of this thread: the content of one chunk at a time, while somebody looks at it. */
let room: Buffer | undefined;

interface Expected {
  readonly kind: ObjectKind;
  readonly id?: Uint8Array | undefined;
}

export class ObjectCodec {
  readonly #keys: ObjectKeys;
  /** As key objects: bytes are checked and wrapped anew by every call, which costs more than hashing a page. */
  readonly #idKey: KeyObject;
  #cipherKey: { readonly salt: Uint8Array; readonly key: KeyObject } | undefined;

  constructor(keys: ObjectKeys) {
    this.#keys = keys;
    this.#idKey = createSecretKey(keys.idKey);
  }

  idOf(kind: ObjectKind, raw: Uint8Array): Buffer {
    return createHmac('sha256', this.#idKey).update(Uint8Array.of(KINDS[kind])).update(raw).digest();
  }

  /** Writes the object into `into` (at least `raw.length + OVERHEAD_BYTES`) and returns its length. */
  sealInto(
    into: Uint8Array,
    object: { kind: ObjectKind; raw: Uint8Array; id: Uint8Array; salt: Uint8Array },
  ): number {
    assert(object.raw.length <= OBJECT_RAW_MAX, `an object holds at most ${OBJECT_RAW_MAX} bytes`);
    if (isMapPage(object.kind)) return this.#seal(into, object, undefined); // a page is ids, and they look like chance
    return withFrame(object.raw, (frame) => this.#seal(into, object, frame));
  }

  #seal(
    into: Uint8Array,
    { kind, raw, id, salt }: { kind: ObjectKind; raw: Uint8Array; id: Uint8Array; salt: Uint8Array },
    frame: Uint8Array | undefined,
  ): number {
    const body = frame ?? raw;
    const sealed = this.#keys.sealKey !== undefined;
    const storedLength = body.length + (sealed ? TAG_BYTES : 0);
    const nonce = sealed ? randomBytes(NONCE_BYTES) : new Uint8Array(NONCE_BYTES);
    into.fill(0, 0, HEADER_BYTES);
    objectHeader.write(into, {
      magic: OBJECT_MAGIC,
      kind: KINDS[kind],
      compression: frame ? COMPRESSION.zstd : COMPRESSION.none,
      encryption: sealed ? ENCRYPTION.aes256gcm : ENCRYPTION.none,
      rawLength: raw.length,
      storedLength,
      id,
      salt: sealed ? salt : new Uint8Array(SALT_BYTES),
      nonce,
    });
    closeStruct(into, HEADER_BYTES);
    if (sealed) this.#encrypt(body, salt, nonce, into);
    else copyBytes(body, into, HEADER_BYTES);
    return HEADER_BYTES + storedLength;
  }

  seal(object: { kind: ObjectKind; raw: Uint8Array; id: Uint8Array; salt: Uint8Array }): Buffer {
    const into = Buffer.allocUnsafeSlow(object.raw.length + OVERHEAD_BYTES);
    return into.subarray(0, this.sealInto(into, object));
  }

  /** The raw bytes of the object at the start of `bytes`. Throws {@link ObjectProblem}. */
  open(bytes: Uint8Array, expected: Expected): Buffer {
    return this.#open(bytes, expected);
  }

  #open(bytes: Uint8Array, expected: Expected, into?: Buffer): Buffer {
    const header = readHeader(bytes);
    if (header.kind !== KINDS[expected.kind]) throw new ObjectProblem('it is an object of another kind');
    if (expected.id && !sameBytes(header.id, expected.id))
      throw new ObjectProblem('another object is in its place');
    const body = this.#decrypt(header, bytes);
    const raw = this.#unpack(header, body, into);
    if (body.buffer !== bytes.buffer && body.buffer !== raw.buffer) free(body);
    if (raw.length !== header.rawLength) throw new ObjectProblem('its length is not what its header says');
    if (!this.idOf(expected.kind, raw).equals(header.id))
      throw new ObjectProblem('its content does not have its id');
    return raw;
  }

  /** As {@link open}, for the time of `use` only: the content is gone afterwards. Best where a disk takes it from. */
  withContent<T>(bytes: Uint8Array, expected: Expected, use: (raw: Buffer) => T): T {
    room ??= alignedBytes(SLOT_BYTES);
    const raw = this.#open(bytes, expected, room);
    try {
      return use(raw);
    } finally {
      if (raw.buffer !== bytes.buffer && raw.buffer !== room.buffer) free(raw);
    }
  }

  #encrypt(body: Uint8Array, salt: Uint8Array, nonce: Uint8Array, into: Uint8Array): void {
    const cipher = createCipheriv('aes-256-gcm', this.#cipherKeyOf(salt), nonce);
    cipher.setAAD(into.subarray(0, HEADER_BYTES));
    const encrypted = cipher.update(body);
    copyBytes(encrypted, into, HEADER_BYTES);
    free(encrypted);
    cipher.final();
    into.set(cipher.getAuthTag(), HEADER_BYTES + body.length);
  }

  #decrypt(header: OpenedHeader, bytes: Uint8Array): Uint8Array {
    const stored = bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.storedLength);
    if (stored.length !== header.storedLength) throw new ObjectProblem('it is cut short');
    if (header.encryption === ENCRYPTION.none) {
      // A store that swaps encrypted objects for plain ones gains nothing: the id is keyed. Refused all the same.
      if (this.#keys.sealKey) throw new ObjectProblem('it is not encrypted');
      return stored;
    }
    if (!this.#keys.sealKey || stored.length < TAG_BYTES)
      throw new ObjectProblem('it is encrypted otherwise');
    const bodyLength = stored.length - TAG_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', this.#cipherKeyOf(header.salt), header.nonce);
    decipher.setAAD(bytes.subarray(0, HEADER_BYTES));
    decipher.setAuthTag(stored.subarray(bodyLength));
    const body = decipher.update(stored.subarray(0, bodyLength));
    try {
      decipher.final();
    } catch {
      throw new ObjectProblem('its bytes are not the ones that were sealed');
    }
    return body;
  }

  #unpack(header: OpenedHeader, body: Uint8Array, into: Buffer | undefined): Buffer {
    if (header.compression === COMPRESSION.none)
      return Buffer.from(body.buffer, body.byteOffset, body.length);
    try {
      return decompress(body, header.rawLength, into);
    } catch {
      throw new ObjectProblem('it cannot be decompressed');
    }
  }

  #cipherKeyOf(salt: Uint8Array): KeyObject {
    if (!this.#cipherKey || !sameBytes(this.#cipherKey.salt, salt)) {
      const key = createHmac('sha256', this.#keys.sealKey!).update(salt).digest();
      this.#cipherKey = { salt: Uint8Array.from(salt), key: createSecretKey(key) };
    }
    return this.#cipherKey.key;
  }
}

/** Header of the object at the start of `bytes`. Throws {@link ObjectProblem}; every length it returns is bounded. */
export function readHeader(bytes: Uint8Array): OpenedHeader {
  if (bytes.length < HEADER_BYTES) throw new ObjectProblem('it is cut short');
  if (!isWhole(bytes, HEADER_BYTES)) throw new ObjectProblem('the checksum of its header is wrong');
  const header = objectHeader.read(bytes);
  const known =
    header.magic === OBJECT_MAGIC &&
    header.compression <= COMPRESSION.zstd &&
    header.encryption <= ENCRYPTION.aes256gcm &&
    header.rawLength <= OBJECT_RAW_MAX &&
    header.storedLength <= OBJECT_RAW_MAX + TAG_BYTES;
  if (!known) throw new ObjectProblem('its header holds impossible values');
  return header;
}

export function newSalt(): Uint8Array {
  return randomBytes(SALT_BYTES);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
