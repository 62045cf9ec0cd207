/** Answers of an SFTP server, written here a second time from the specification. */
export function answer(type: number, id: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(5 + body.length), Buffer.of(type), u32(id), body]);
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value >>> 0, 4 * index));
  return bytes;
}

export function text(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([u32(bytes.length), bytes]);
}

/** Attributes of a regular file. */
export function fileAttributes(size: number, modified = 7): Buffer {
  return u32(0x1 | 0x4 | 0x8, Math.floor(size / 2 ** 32), size % 2 ** 32, 0o100_644, modified, modified);
}

export const status = (id: number, code: number, words = ''): Buffer =>
  answer(101, id, u32(code), text(words), text(''));
export const handle = (id: number, value = 'h'): Buffer => answer(102, id, text(value));
export const data = (id: number, bytes: Uint8Array): Buffer => answer(103, id, text(bytes));
export const version = (number = 3): Buffer => answer(2, number);
