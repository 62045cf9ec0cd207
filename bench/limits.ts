/**
 * What the machine can do at best, on one core: the frame for every other figure. Each limit runs over the same piece of
 * the source disk's file, in units of 1 MiB as the repository works.
 */
import { createCipheriv, hash, randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { MiB } from '../src/base/index.ts';

export const LIMITS = ['read', 'write', 'sha256', 'zstd', 'aes-gcm'] as const;
export type Limit = (typeof LIMITS)[number];

/** Behind the VHDX's own tables. */
const SAMPLE_START = 8 * MiB;

export interface LimitRequest {
  readonly limit: Limit;
  /** The VHDX the sample is read from. */
  readonly disk: string;
  readonly folder: string;
  readonly bytes: number;
}

/** The work alone; its sample is in memory already. */
export function limitWork({ limit, disk, folder, bytes }: LimitRequest): () => void {
  const units = readUnits(disk, bytes);
  if (limit === 'read') return () => readAgain(disk, bytes);
  if (limit === 'write') return () => writeUnits(join(folder, 'limit'), units);
  return () => {
    for (const unit of units) WORK[limit](unit);
  };
}

const WORK: Record<Exclude<Limit, 'read' | 'write'>, (unit: Buffer) => unknown> = {
  sha256: (unit) => hash('sha256', unit, 'buffer'),
  zstd: (unit) => zstdCompressSync(unit, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  'aes-gcm': (unit) => {
    const cipher = createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12));
    cipher.update(unit);
    cipher.final();
  },
};

function readUnits(path: string, bytes: number): Buffer[] {
  const file = openSync(path, 'r');
  const units = Array.from({ length: bytes / MiB }, (_, i) => {
    const unit = Buffer.allocUnsafeSlow(MiB);
    readSync(file, unit, 0, MiB, SAMPLE_START + i * MiB);
    return unit;
  });
  closeSync(file);
  return units;
}

/** From the page cache into memory that is there already: without the cost of the first touch of either. */
function readAgain(path: string, bytes: number): void {
  const file = openSync(path, 'r');
  const unit = Buffer.alloc(MiB);
  for (let at = 0; at < bytes; at += MiB) readSync(file, unit, 0, MiB, SAMPLE_START + at);
  closeSync(file);
}

function writeUnits(path: string, units: readonly Buffer[]): void {
  const file = openSync(path, 'w');
  for (const unit of units) writeSync(file, unit);
  fsyncSync(file);
  closeSync(file);
  rmSync(path);
}
