/**
 * Where a file has bytes and where it has holes, by lseek(2) with SEEK_DATA and SEEK_HOLE, which Node does not offer. A file
 * system that knows no holes answers that everything is data.
 */
import { openSystemLibrary } from './system-library.ts';

type Lseek = (fd: number, offset: number, whence: number) => number | bigint;

interface Seeking {
  readonly lseek: Lseek;
  readonly errno: () => number;
}

/** linux/fs.h. */
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** errno.h: from there on there is no data. */
const ENXIO = 6;

let seeking: Seeking | undefined | 'not looked for' = 'not looked for';

/**
 * The first run of `fd` at or behind `from` that holds data, up to `end`; `undefined` when there is none. `all` when the
 * system cannot tell. Moves the file's position, which positional reads do not use.
 */
export function nextData(
  fd: number,
  from: number,
  end: number,
): { readonly offset: number; readonly length: number } | undefined | 'all' {
  if (seeking === 'not looked for') seeking = load();
  if (!seeking) return 'all';
  const start = Number(seeking.lseek(fd, from, SEEK_DATA));
  if (start < 0) return seeking.errno() === ENXIO && reaches(fd, end, seeking) ? undefined : 'all';
  if (start >= end) return undefined;
  const stop = Number(seeking.lseek(fd, start, SEEK_HOLE));
  if (stop <= start) return 'all';
  return { offset: start, length: Math.min(stop, end) - start };
}

/** A file that was cut has no data there either, and that is no hole: whoever reads on shall find out. */
function reaches(fd: number, end: number, { lseek }: Seeking): boolean {
  return Number(lseek(fd, 0, SEEK_END)) >= end;
}

function load(): Seeking | undefined {
  if (process.platform !== 'linux') return undefined;
  const found = openSystemLibrary(['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']);
  if (!found) return undefined;
  const lseek = found.library.func('int64_t lseek(int fd, int64_t offset, int whence)') as Lseek;
  return { lseek, errno: found.errno };
}
