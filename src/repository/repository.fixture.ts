/** Repositories for tests: opened without a key derivation of half a second, in memory unless a store is given. */
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDisk, type RangeReader } from '../disk/index.ts';
import type { ExtentStream } from '../extents/index.ts';
import { createImage } from '../images/index.ts';
import { createMemoryStore, type ObjectStore } from '../objectstore/index.ts';
import type { FoldBudget } from './fold.ts';
import { newHeader } from './header.ts';
import type { IngestStats } from './ingest.ts';
import { deriveKeys } from './keys.ts';
import type { MapRoot } from './map-root.ts';
import type { PointDraft, RestorePoint } from './point.ts';
import { Repository, type RepositoryParts } from './repository.ts';
import type { WriteSession } from './session.ts';

export const VM_ID = 'abcdef01-2345-4678-89ab-cdef01234567';

/** The parts of a repository whose keys only this test knows; open them as often as needed. */
export function partsFor(store: ObjectStore = createMemoryStore(), encrypted = true): RepositoryParts {
  const { header } = newHeader(encrypted ? 'aes-256-gcm' : 'none', new Date());
  const keys = deriveKeys(randomBytes(32), Buffer.from(header.repositoryId, 'hex'), encrypted);
  return { store, header, keys, now: () => new Date() };
}

export function openTest(store?: ObjectStore, encrypted?: boolean): Promise<Repository> {
  return Repository.open(partsFor(store, encrypted));
}

export interface DiskPart {
  readonly reader: RangeReader;
  readonly extents: ExtentStream;
  readonly base?: MapRoot | undefined;
  readonly compare?: boolean;
  readonly fold?: FoldBudget;
}

export interface Backup {
  readonly point: RestorePoint;
  readonly root: MapRoot;
  readonly stats: IngestStats;
}

/** One session with one disk; no worker threads, since starting them costs more than most tests. */
export async function backUp(repository: Repository, part: DiskPart, vmId = VM_ID): Promise<Backup> {
  await using session = await repository.startSession({ workers: 0 });
  const { root, stats } = await ingest(session, part);
  const point = await session.commit(await draftOf(session, [{ root, size: part.reader.size }], vmId));
  return { point, root, stats };
}

export function ingest(session: WriteSession, part: DiskPart) {
  const { reader, extents, base, compare = false, fold = 'off' } = part;
  return session.ingestDisk({ reader, extents, size: reader.size, compare, fold, ...(base ? { base } : {}) });
}

export async function draftOf(
  session: WriteSession,
  disks: readonly { readonly root: MapRoot; readonly size: number }[],
  vmId = VM_ID,
): Promise<PointDraft> {
  return {
    runId: 'a-run',
    vm: {
      id: vmId,
      name: 'web',
      host: 'HOST1',
      configuration: await session.putBlob(Buffer.from('{"cpus":2}')),
    },
    consistency: { asked: 'application-preferred', reached: 'crash' },
    disks: disks.map(({ root, size }, index) => ({
      diskId: `disk-${index}`,
      attachment: { controller: 'scsi', controllerNumber: 0, slot: index },
      path: `C:\\vm\\disk${index}.vhdx`,
      size,
      logicalSectorSize: 512,
      physicalSectorSize: 4096,
      root,
      kind: 'full',
      reason: 'first-backup',
    })),
  };
}

/** Bytes that differ for every seed and compress about as well as programs do: half of them random, half repeated. */
export function sampleBytes(length: number, seed: number): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  const bytes = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
  for (let at = 32; at < length; at += 64) bytes.fill(seed & 0xff, at, Math.min(at + 32, length));
  return bytes;
}

/** Read into a buffer that is not zeros: what a disk does not fill shows. */
export async function contentOf(disk: RangeReader): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size, 0xa5);
  await disk.read(0, bytes);
  return bytes;
}

export async function restoredContent(
  repository: Repository,
  root: MapRoot,
  size: number,
  workers = 0,
): Promise<Buffer> {
  const path = join(temporaryFolder(), `image-${(images += 1)}`);
  const target = await createImage('raw', path, { size });
  await repository.restoreDisk({ root, size, target, workers });
  await target.finish();
  const bytes = readFileSync(path);
  rmSync(path);
  return bytes;
}

export async function diskWith(
  size: number,
  writes: readonly (readonly [number, Uint8Array])[],
): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  for (const [offset, bytes] of writes) await disk.write(offset, bytes);
  return disk;
}

/** A folder that is gone when the test file is done. */
export function temporaryFolder(): string {
  return (folder ??= makeFolder());
}

let folder: string | undefined;
let images = 0;

function makeFolder(): string {
  const made = mkdtempSync(join(tmpdir(), 'hvlift-repository-'));
  // Not `after`: called inside a test it would belong to that test, and take the folder away from the ones behind it.
  process.once('exit', () => rmSync(made, { recursive: true, force: true }));
  return made;
}
