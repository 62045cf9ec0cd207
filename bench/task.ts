/**
 * One measured piece of our own work, in a process of its own so that its memory is its own:
 *
 *   node -C source bench/task.ts NAME '{ ...request }'     prints { seconds, ... } as its last line
 *
 * `seconds` leave out the start of the program and the derivation of the key from the passphrase, which a user pays once
 * a run; the process' own time includes them.
 */
import { rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newGuid, silentProgress } from '../src/base/index.ts';
import { copyDisk, readBatches } from '../src/copy/index.ts';
import { FileReader, type PlacedWriter, type RangeReader } from '../src/disk/index.ts';
import type { Extent, ExtentStream } from '../src/extents/index.ts';
import { createImage, writeCompressedImage, type ImageFormat } from '../src/images/index.ts';
import { openDirectoryStore } from '../src/objectstore/index.ts';
import { createRepository, openRepository, type Repository } from '../src/repository/index.ts';
import { openVhdxChain, type VhdxDisk } from '../src/vhdx/index.ts';
import { limitWork, type LimitRequest } from './limits.ts';
import { PASSPHRASE, VM_ID } from './made-points.ts';
import { timed, type TaskResult } from './timed.ts';

export interface BackupRequest {
  readonly repository: string;
  readonly disk: string;
  /** What changed since the last point; the whole disk when left out. */
  readonly changes?: readonly Extent[];
}

export interface RestoreRequest {
  readonly repository: string;
  readonly format: ImageFormat;
  readonly path: string;
}

export interface ConvertRequest {
  readonly disk: string;
  readonly format: 'raw' | 'qcow2-zstd';
  readonly path: string;
  /** As QEMU's `-t writeback`; a compressed image always is. */
  readonly durable: boolean;
}

// As bin/hvlift.js has it: worker threads load compiled code.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'hvlift-bench-cache');

const TASKS: Record<string, (request: never) => Promise<TaskResult>> = {
  create: createTask,
  backup: async (request: BackupRequest) => {
    const disk = await openVhdxChain(request.disk, { open: (path) => FileReader.open(path) });
    return backupTask(request, disk, disk.allocated());
  },
  'backup-raw': async (request: BackupRequest) => {
    const disk = Object.assign(await FileReader.open(request.disk), RAW);
    return backupTask(request, disk, [{ offset: 0, length: disk.size }]);
  },
  restore: restoreTask,
  convert: convertTask,
  read: readTask,
  limit: (request: LimitRequest) => {
    const work = limitWork(request);
    return timed(async () => work());
  },
};

async function createTask({ repository: folder }: { repository: string }): Promise<TaskResult> {
  const store = await openDirectoryStore(folder, { create: true });
  return timed(async () => {
    await createRepository(store, { encryption: { passphrase: PASSPHRASE } });
  });
}

type SourceDisk = RangeReader & Pick<VhdxDisk, 'virtualDiskId' | 'logicalSectorSize' | 'physicalSectorSize'>;

/** What a raw image does not tell of itself. */
const RAW = { virtualDiskId: VM_ID, logicalSectorSize: 512, physicalSectorSize: 4096 };

async function backupTask(
  request: BackupRequest,
  disk: SourceDisk,
  allocated: ExtentStream,
): Promise<TaskResult> {
  const repository = await open(request.repository);
  const last = request.changes ? await lastPoint(repository) : undefined;
  return timed(async () => {
    const session = await repository.startSession({});
    const base = last?.disks[0]?.root;
    const { root, stats } = await session.ingestDisk({
      reader: disk,
      extents: request.changes ?? allocated,
      size: disk.size,
      ...(base ? { base } : {}),
      progress: silentProgress,
    });
    await session.commit(await draftOf(session, disk, root, request));
    return stats;
  });
}

async function restoreTask({ repository: folder, format, path }: RestoreRequest): Promise<TaskResult> {
  const repository = await open(folder);
  const point = await lastPoint(repository);
  const disk = point.disks[0]!;
  return timed(async () => {
    const target = await createImage(format, path, { size: disk.size });
    const stats = await repository.restoreDisk({ root: disk.root, size: disk.size, target });
    await target.finish();
    return stats;
  });
}

async function convertTask({ disk, format, path, durable }: ConvertRequest): Promise<TaskResult> {
  const source = await openVhdxChain(disk, { open: (name) => FileReader.open(name) });
  return timed(async () => {
    if (format === 'qcow2-zstd') return await writeCompressedImage(format, path, source);
    const target = durable
      ? await createImage(format, path, { size: source.size })
      : await plainFile(path, source.size);
    const stats = await copyDisk({ source, target, durable });
    await target.finish();
    return stats;
  });
}

/** What `qemu-img convert` makes by default: the system writes it to the disk when it likes. */
async function plainFile(path: string, size: number): Promise<PlacedWriter> {
  await writeFile(path, '');
  await truncate(path, size);
  return {
    path,
    size,
    isFlat: true,
    place: (fileOffset, length) => [{ fileOffset, length }],
    finish: async () => {},
    abort: () => rm(path),
  };
}

/** Reading alone. */
async function readTask({ disk }: { disk: string }): Promise<TaskResult> {
  return timed(async () => {
    const source = await openVhdxChain(disk, { open: (name) => FileReader.open(name) });
    let readBytes = 0;
    for await (const { length } of readBatches(source)) readBytes += length;
    await source.close();
    return { readBytes };
  });
}

async function open(folder: string): Promise<Repository> {
  return await openRepository(await openDirectoryStore(folder), { passphrase: PASSPHRASE });
}

async function lastPoint(repository: Repository) {
  return await repository.point('latest', { vmId: VM_ID });
}

type Session = Awaited<ReturnType<Repository['startSession']>>;

async function draftOf(
  session: Session,
  disk: SourceDisk,
  root: Awaited<ReturnType<Session['ingestDisk']>>['root'],
  request: BackupRequest,
): Promise<Parameters<Session['commit']>[0]> {
  return {
    runId: newGuid(),
    vm: { id: VM_ID, name: 'bench', host: 'bench', configuration: await session.putBlob(Buffer.from('{}')) },
    consistency: { asked: 'crash', reached: 'crash' },
    disks: [
      {
        diskId: disk.virtualDiskId,
        attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
        path: request.disk,
        size: disk.size,
        logicalSectorSize: disk.logicalSectorSize,
        physicalSectorSize: disk.physicalSectorSize,
        root,
        kind: request.changes ? 'delta' : 'full',
        reason: request.changes ? 'changes-since-reference-point' : 'first-backup',
      },
    ],
  };
}

const [name, request] = process.argv.slice(2);
const task = TASKS[name ?? ''];
if (!task) throw new Error(`no task ${name}; there are ${Object.keys(TASKS).join(', ')}`);
console.log(JSON.stringify(await task(JSON.parse(request ?? '{}') as never)));
