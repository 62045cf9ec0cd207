/** Restored images before judges that are not ours: qemu-img and libvhdi, beside the truth the lab exported. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isZero, MiB } from '../../src/base/index.ts';
import { backupVm, restorePoint, type BackupRecord } from '../../src/flows/index.ts';
import type { ImageFormat } from '../../src/images/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { openLabStack, type LabStack } from '../e2e/lab-stack.fixture.ts';

export interface InteropStack extends AsyncDisposable {
  readonly stack: LabStack;
  readonly repository: Repository;
  readonly folder: string;
}

/** A lab, our client in front of it, a repository and a folder for images. */
export async function openInteropStack(): Promise<InteropStack> {
  await using parts = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-interop-'));
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const stack = parts.use(await openLabStack());
  const store = await openDirectoryStore(join(folder, 'repository'), { create: true });
  const { repository } = await createRepository(store, { encryption: { passphrase: 'of this test' } });
  parts.use(repository);
  const owned = parts.move();
  return { stack, repository, folder, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export function backUp({ stack, repository }: InteropStack, vm: string): Promise<BackupRecord> {
  const { source, hyperv } = stack;
  return backupVm({ source, repository, resolveVm: (name, options) => hyperv.vm(name, options) }, { vm });
}

export interface RestoredDisk {
  readonly diskId: string;
  readonly path: string;
}

/** The images of a point in a folder of its own. */
export async function restore(
  { repository, folder }: InteropStack,
  pointId: string,
  format: ImageFormat,
): Promise<readonly RestoredDisk[]> {
  const point = await repository.point(pointId);
  const to = join(folder, `${pointId}-${format}`);
  return (await restorePoint(repository, { point, folder: to, format })).disks;
}

/** What a disk held at a seal, as a raw image. */
export async function exportTruth(
  { stack }: InteropStack,
  disk: { readonly sealId: string; readonly diskId: string },
  path: string,
): Promise<void> {
  const reader = await stack.lab.truthReader(disk.sealId, disk.diskId);
  await using file = await open(path, 'w');
  await file.truncate(reader.size);
  const buffer = new Uint8Array(4 * MiB);
  for (let at = 0; at < reader.size; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, reader.size - at));
    await reader.read(at, part);
    if (!isZero(part)) await file.write(part, 0, part.length, at);
  }
  await reader.close();
}

/** qemu-img finds the image sound where the format can be checked, and equal to the raw image of the truth. */
export function assertQemuFindsEqual(path: string, format: ImageFormat, truth: string): void {
  if (format !== 'raw') assert.match(qemuImg('check', '-f', format, path), /No errors were found/);
  assert.match(qemuImg('compare', '-f', format, '-F', 'raw', path, truth), /Images are identical/);
}

export function qemuImg(...args: string[]): string {
  return execFileSync('qemu-img', args, { encoding: 'utf8' });
}
