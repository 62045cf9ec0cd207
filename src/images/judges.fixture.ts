/** Disks with content of every kind, and judges of images that share no line with their writers: QEMU and libvmdk. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, openSync, closeSync, ftruncateSync, writeSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { KiB, MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { DEBIAN_PYTHON } from '../../test/requires.ts';

/** A folder that goes with the scope, and names in it. */
export class Scratch implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'hvlift-images-'));
  #files = 0;

  path(extension = ''): string {
    this.#files += 1;
    return join(this.folder, `file-${this.#files}${extension}`);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Stroke {
  readonly offset: number;
  readonly length: number;
  /** `noise` cannot be compressed, `text` can, `zeros` are written and read as nothing. */
  readonly kind: 'noise' | 'text' | 'zeros';
}

/** A disk with these strokes, which may overlap and end behind it. The content follows from the strokes alone. */
export async function diskOf(size: number, strokes: readonly Stroke[]): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  for (const { offset, length, kind } of strokes) {
    await disk.write(offset, content(kind, offset, Math.min(length, size - offset)));
  }
  return disk;
}

function content(kind: Stroke['kind'], seed: number, length: number): Uint8Array {
  if (kind === 'zeros') return new Uint8Array(length);
  if (kind === 'text') return Buffer.alloc(length, `from ${seed} on, `);
  return createHash('shake256', { outputLength: length }).update(String(seed)).digest();
}

/** Sizes around the units of every format, and strokes of any alignment. */
export const anyDisk: fc.Arbitrary<{ size: number; strokes: Stroke[] }> = fc
  .oneof(
    fc.constantFrom(512, 64 * KiB, 64 * KiB + 512, 32 * MiB, 32 * MiB + 512, 96 * MiB - 512),
    fc.nat(5 * MiB).map((n) => n + 1),
    fc.nat(200_000).map((n) => (n + 1) * 512),
  )
  .chain((size) => {
    const stroke = fc.record({
      offset: fc.nat(size - 1),
      length: fc.integer({ min: 1, max: 300 * KiB }),
      kind: fc.constantFrom('noise' as const, 'text' as const, 'zeros' as const),
    });
    return fc.record({ size: fc.constant(size), strokes: fc.array(stroke, { maxLength: 8 }) });
  });

/** The disk as a raw file of whole sectors, which is what the formats hold. */
export async function rawFile(disk: MemoryDisk, path: string): Promise<string> {
  const file = openSync(path, 'w');
  for (const { offset, length } of disk.allocated()) {
    const bytes = new Uint8Array(length);
    await disk.read(offset, bytes);
    writeSync(file, bytes, 0, length, offset);
  }
  ftruncateSync(file, Math.ceil(disk.size / 512) * 512);
  closeSync(file);
  return path;
}

export function qemuImg(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('qemu-img', args, { encoding: 'utf8' });
  assert.equal(status, 0, `qemu-img ${args.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** QEMU finds no error in the image, and the bytes of the raw file. */
export function assertQemuReads(format: 'vmdk' | 'qcow2', path: string, raw: string): void {
  assert.match(qemuImg('check', '-f', format, path), /No errors were found/);
  assert.match(qemuImg('compare', '-f', format, '-F', 'raw', path, raw), /Images are identical/);
}

/** SHA-256 of what libvmdk reads. */
export function libvmdkDigest(path: string): string {
  const script = `
import hashlib, pyvmdk, sys
handle = pyvmdk.handle()
handle.open(sys.argv[1])
handle.open_extent_data_files()
digest = hashlib.sha256()
left = handle.get_media_size()
while left > 0:
    part = handle.read_buffer(min(left, 1 << 20))
    digest.update(part)
    left -= len(part)
print(digest.hexdigest())`;
  return execFileSync(DEBIAN_PYTHON, ['-c', script, path], { encoding: 'utf8' }).trim();
}
