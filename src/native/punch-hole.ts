/** Gives the room of a range of a file back, by fallocate(2) with FALLOC_FL_PUNCH_HOLE, which Node does not offer. */
import { openSystemLibrary } from './system-library.ts';

type Fallocate = (fd: number, mode: number, offset: number, length: number) => number;

/** linux/falloc.h: the range reads as zeros, and the file keeps its length. */
const PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01;

let fallocate: Fallocate | undefined | 'not looked for' = 'not looked for';

/** False when the system or the file system cannot: then nothing was changed. */
export function punchHole(fd: number, offset: number, length: number): boolean {
  if (fallocate === 'not looked for') fallocate = load();
  return fallocate !== undefined && fallocate(fd, PUNCH_HOLE_KEEP_SIZE, offset, length) === 0;
}

function load(): Fallocate | undefined {
  if (process.platform !== 'linux') return undefined;
  const found = openSystemLibrary(['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']);
  return found?.library.func('int fallocate(int fd, int mode, int64_t offset, int64_t length)') as
    | Fallocate
    | undefined;
}
