/** Compares two files in bounded memory. */
import { MiB } from '../base/index.ts';
import type { FileCalls, OpenFile } from './file-calls.ts';

export async function sameBytes(files: FileCalls, pathA: string, pathB: string): Promise<boolean> {
  await using a = await files.open(pathA, 'r');
  await using b = await files.open(pathB, 'r');
  const size = (await a.stat()).size;
  if (size !== (await b.stat()).size) return false;
  const pieceA = Buffer.allocUnsafe(Math.min(size, MiB));
  const pieceB = Buffer.allocUnsafe(pieceA.length);
  for (let at = 0; at < size; at += pieceA.length) {
    const length = Math.min(pieceA.length, size - at);
    await Promise.all([fill(a, pieceA, at, length), fill(b, pieceB, at, length)]);
    if (pieceA.compare(pieceB, 0, length, 0, length) !== 0) return false;
  }
  return true;
}

async function fill(handle: OpenFile, into: Buffer, position: number, length: number): Promise<void> {
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(into, done, length - done, position + done);
    if (bytesRead === 0) throw new RangeError('a file shrank while it was compared');
    done += bytesRead;
  }
}
