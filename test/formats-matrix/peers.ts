/**
 * Other readers of the same images. Each is judged against what our reader and the second decoder agree on:
 *
 *   right     the same size and the same bytes
 *   wrong     other bytes, or another size, and no word of it
 *   refuses   an error
 */
import { execFile } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Extent } from '../../src/extents/index.ts';
import { differenceOf, fingerprintOfRaw, within, type Fingerprint } from './fingerprint.ts';
import type { MatrixImage } from './image.ts';
import { qemuSize } from './made-by-qemu.ts';
import type { Answer, PythonReader } from './python-reader.ts';

export type Verdict = 'right' | 'wrong' | 'refuses';

export interface Candidate {
  readonly format: MatrixImage['format'];
  readonly files: readonly string[];
  readonly expected: Fingerprint;
  /** What is compared; absent: all of it. */
  readonly windows: readonly Extent[] | undefined;
}

export type Peer = (candidate: Candidate) => Promise<Answer | undefined>;

export function verdictOn(answer: Answer, { expected, windows }: Candidate): Verdict {
  if ('refused' in answer) return 'refuses';
  return differenceOf(answer, within(expected, windows)) === undefined ? 'right' : 'wrong';
}

const QEMU_FORMATS = { vhdx: 'vhdx', vhd: 'vpc' } as const;

const run = promisify(execFile);

/** What `read` answers, or the error of the program it runs. Its `raw` file is removed. */
async function asked(raw: string, read: () => Promise<Fingerprint>): Promise<Answer> {
  try {
    return await read();
  } catch (error) {
    return { refused: (error as Error).message };
  } finally {
    rmSync(raw, { force: true });
  }
}

/** qemu reads the leaf and finds parents itself. */
export function qemu({ format, files, windows }: Candidate): Promise<Answer> {
  const driver = QEMU_FORMATS[format];
  const path = files[0]!;
  const raw = `${path}.qemu-raw`;
  return asked(raw, async () => {
    if (!windows) {
      await run('qemu-img', ['convert', '-f', driver, '-O', 'raw', path, raw]);
      return await fingerprintOfRaw(raw, { start: 0, size: statSync(raw).size });
    }
    const size = qemuSize(driver, path);
    const cells: Record<string, string> = {};
    for (const { offset, length } of windows) {
      // A disk that ends earlier for qemu is told by its size.
      if (offset + length > size) continue;
      const file = `file.driver=${driver},file.file.driver=file,file.file.filename=${path}`;
      const source = `driver=raw,offset=${offset},size=${length},${file}`;
      await run('qemu-img', ['convert', '--image-opts', '-O', 'raw', source, raw]);
      Object.assign(cells, (await fingerprintOfRaw(raw, { start: offset, size })).cells);
    }
    return { size, cells };
  });
}

/** 7-Zip writes whole disks only. It says by its exit code what it has doubts about. */
export async function sevenZip({ format, files, windows }: Candidate): Promise<Answer | undefined> {
  if (windows) return undefined;
  const path = files[0]!;
  const raw = `${path}.7z-raw`;
  const type = format === 'vhdx' ? '-tVHDX' : '-tVHD';
  return await asked(raw, async () => {
    // 7zz cannot name the file that it writes, only its folder.
    await run('sh', ['-c', 'exec 7zz e -so "$0" "$1" > "$2"', type, path, raw]);
    return await fingerprintOfRaw(raw, { start: 0, size: statSync(raw).size });
  });
}

/** libvhdi is told the parents. */
export function libvhdi(library: PythonReader): Peer {
  return ({ format, files, windows }) => library.ask({ format, files, windows });
}
