/** A repository whose points come and go, for the tests of the collector: small disks, no worker threads. */
import assert from 'node:assert/strict';
import { MiB } from '../base/index.ts';
import type { MemoryDisk } from '../disk/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import type { CollectReport } from './collector.ts';
import { CELL_BYTES } from './format.ts';
import type { RestorePoint } from './point.ts';
import type { Repository } from './repository.ts';
import { backUp, contentOf, diskWith, sampleBytes } from './repository.fixture.ts';

export const DISK_BYTES = 4 * MiB;

/** A disk of which every slot holds one cell of its own: packs stay small, and slots are patched. */
export function thinDisk(seed: number): Promise<MemoryDisk> {
  return diskWith(
    DISK_BYTES,
    [0, 1, 2, 3].map((slot) => [slot * MiB, sampleBytes(CELL_BYTES, seed * 4 + slot)] as const),
  );
}

export async function fullBackup(
  repository: Repository,
  disk: MemoryDisk,
  vmId?: string,
): Promise<RestorePoint> {
  return (await backUp(repository, { reader: disk, extents: disk.allocated() }, vmId)).point;
}

/** What an increment of the cells from `cell` on makes of the disk and the repository. */
export async function increment(
  repository: Repository,
  disk: MemoryDisk,
  base: RestorePoint,
  change: { readonly cell: number; readonly seed: number; readonly cells?: number },
): Promise<RestorePoint> {
  const { cell, seed, cells = 1 } = change;
  const extent = { offset: cell * CELL_BYTES, length: cells * CELL_BYTES };
  await disk.write(extent.offset, sampleBytes(extent.length, seed));
  const { root } = base.disks[0]!;
  return (await backUp(repository, { reader: disk, extents: [extent], base: root }, base.vm.id)).point;
}

/** As pruning does it. */
export async function dropPoint(store: ObjectStore, point: RestorePoint): Promise<void> {
  for await (const { name } of store.list('points/')) if (name.endsWith(point.id)) await store.delete(name);
}

export async function assertRestores(
  repository: Repository,
  point: RestorePoint,
  expected: Buffer,
): Promise<void> {
  const { root, size } = point.disks[0]!;
  assert.ok((await contentOf(repository.openDisk(root, size))).equals(expected), `point ${point.id}`);
}

/** Runs until nothing more happens; the reports. */
export async function collectAll(repository: Repository): Promise<CollectReport[]> {
  const reports: CollectReport[] = [];
  for (;;) {
    assert.ok(reports.length < 6, 'the collector comes to rest');
    const report = await repository.collect();
    reports.push(report);
    const { condemned, deleted, revived, rewritten, segmentsDeleted } = report;
    const packs = [condemned, deleted, revived, rewritten].map((tally) => tally.packs);
    if (packs.every((count) => count === 0) && segmentsDeleted === 0) return reports;
  }
}
