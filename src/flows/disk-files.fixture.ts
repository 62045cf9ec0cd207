/** Disk files to read: a folder of their own, and a chain of two whose content is known. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { KiB, MiB } from '../base/index.ts';
import { createDifferencingVhdx, createVhdx, openVhdxWritable } from '../vhdx/index.ts';

/** A folder that is removed when the file's tests have ended. */
export class DiskFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'hvlift-disks-'));

  constructor() {
    after(() => rmSync(this.path, { recursive: true, force: true }));
  }

  at(...names: readonly string[]): string {
    return join(this.path, ...names);
  }
}

export type Filling = readonly (readonly [at: number, length: number, byte: number])[];

interface Writable {
  write(offset: number, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export async function fill(file: Writable, filling: Filling): Promise<void> {
  for (const [at, length, byte] of filling) await file.write(at, Buffer.alloc(length, byte));
  await file.close();
}

const BASE: Filling = [
  [0, 3 * MiB, 1],
  [20 * MiB, 64 * KiB, 2],
  [40 * MiB - 512, 512, 3],
];
/** Over the base's data, beside it, and zeros over it. */
const LEAF: Filling = [
  [MiB + 512, 4 * KiB, 9],
  [30 * MiB, 512, 8],
  [2 * MiB, 64 * KiB, 0],
];

export interface KnownChain {
  readonly leaf: string;
  readonly base: string;
  /** Every byte of the disk. */
  readonly content: Buffer;
}

/** `base.vhdx` and `leaf.avhdx` in a folder that is made: a disk of 40 MiB. */
export async function knownChain(folder: string): Promise<KnownChain> {
  mkdirSync(folder);
  const [base, leaf] = [join(folder, 'base.vhdx'), join(folder, 'leaf.avhdx')];
  await createVhdx(base, { size: 40 * MiB, kind: 'dynamic', blockSize: MiB });
  await fill(await openVhdxWritable(base), BASE);
  await createDifferencingVhdx(leaf, { parentPath: base });
  await fill(await openVhdxWritable(leaf), LEAF);
  const content = Buffer.alloc(40 * MiB);
  for (const [at, length, byte] of [...BASE, ...LEAF]) content.fill(byte, at, at + length);
  return { leaf, base, content };
}
