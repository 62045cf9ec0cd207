/**
 * What a repository costs when it is large, each piece in a process of its own:
 *
 *   node -C source bench/scale-task.ts NAME '{ ...request }'     prints one line of JSON
 *
 * The index has real segments with made-up entries (src/repository/sparse-index.fixture.ts); the restore points are real.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { GiB, KiB, TiB } from '../src/base/index.ts';
import { SparseDisk } from './sparse-disk.ts';
import {
  countingStore,
  createMemoryStore,
  openDirectoryStore,
  type ObjectStore,
} from '../src/objectstore/index.ts';
import { createRepository, openRepository } from '../src/repository/index.ts';
import { ObjectIndex } from '../src/repository/object-index.ts';
import { madeId, writeMadeSegment } from '../src/repository/sparse-index.fixture.ts';
import { PASSPHRASE, VM_ID } from './made-points.ts';

const REPOSITORY_ID = createHash('md5').update('a made index').digest();
/** Shares of a hundred, as merging leaves them. */
const SEGMENTS = [67, 22, 7, 3, 1];
const LOOKUPS = 20_000;

const TASKS: Record<string, (request: never) => Promise<object>> = {
  'make-index': async ({ folder, entries }: { folder: string; entries: number }) => {
    const store = await openDirectoryStore(folder, { create: true });
    let from = 0;
    for (const width of SEGMENTS) {
      await writeMadeSegment(store, REPOSITORY_ID, { count: entries, from, width, of: 100 });
      from += width;
    }
    return {};
  },
  'ask-index': askIndex,
  'make-points': makePoints,
  'list-points': listPoints,
  map: mapOverhead,
};

/** Half of what is asked for is there; ids in no order. */
async function askIndex({ folder, entries }: { folder: string; entries: number }): Promise<object> {
  const store = await openDirectoryStore(folder);
  const started = performance.now();
  const index = new ObjectIndex(store, REPOSITORY_ID);
  await index.refresh();
  const openSeconds = (performance.now() - started) / 1000;
  await timesOf(index, entries, entries); // brings into memory what stays there
  const found = await timesOf(index, entries, entries);
  const absent = await timesOf(index, entries, entries + 1);
  return { openSeconds, found: quantiles(found), absent: quantiles(absent) };
}

/** Asks for ids of `of` made ones: what is there when those are the `entries`. Keeps nothing else: its memory is the index's. */
async function timesOf(index: ObjectIndex, entries: number, of: number): Promise<Float64Array> {
  const times = new Float64Array(LOOKUPS);
  for (let n = 0; n < LOOKUPS; n += 1) {
    const id = madeId((n * 7_368_787 + 11) % entries, of);
    const started = performance.now();
    const found = await index.find(id);
    times[n] = (performance.now() - started) * 1000;
    if ((found !== undefined) !== (of === entries))
      throw new Error('the index does not hold what was written');
  }
  return times;
}

function quantiles(times: Float64Array): object {
  const sorted = times.toSorted();
  return { p50: sorted[LOOKUPS / 2]!, p99: sorted[LOOKUPS * 0.99]! };
}

/** Of 100 VMs with two disks each. Not durable: a hundred thousand flushes would measure the disk. */
async function makePoints({ folder, points }: { folder: string; points: number }): Promise<object> {
  const store = quick(await openDirectoryStore(folder, { create: true }));
  const { repository } = await createRepository(store, { encryption: { passphrase: PASSPHRASE } });
  for (let made = 0; made < points; made += 1) {
    const vm = made % 100;
    await using session = await repository.startSession({ workers: 0 });
    const configuration = await session.putBlob(Buffer.from('{}'));
    const id = `6f1c5a0e-0000-4000-8000-${String(vm).padStart(12, '0')}`;
    const disks = [0, 1].map((slot) => diskOf(`C:\\VMs\\vm${vm}\\disk${slot}.vhdx`, slot));
    await session.commit(draft({ id, name: `vm${vm}`, host: 'HV1', configuration }, disks));
  }
  return {};
}

function quick(store: ObjectStore): ObjectStore {
  return {
    location: store.location,
    startNew: (name, options) => store.startNew(name, options),
    getRange: (name, offset, length, options) => store.getRange(name, offset, length, options),
    stat: (name, options) => store.stat(name, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: async (name) => rmSync(join(store.location, name), { force: true }),
    async putNew(name, body) {
      const path = join(store.location, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, body);
    },
  };
}

/** Once by each process: the first finds no catalogue, or writes one. */
async function listPoints({ folder }: { folder: string }): Promise<object> {
  const { store, stats } = countingStore(await openDirectoryStore(folder));
  const repository = await openRepository(store, { passphrase: PASSPHRASE });
  const before = stats.getRange.calls;
  const started = performance.now();
  let points = 0;
  for await (const _ of repository.shownPoints()) points += 1;
  const seconds = (performance.now() - started) / 1000;
  return { points, seconds, reads: stats.getRange.calls - before };
}

type Draft = Parameters<
  Awaited<ReturnType<Awaited<ReturnType<typeof openRepository>>['startSession']>>['commit']
>[0];

function draft(vm: Draft['vm'], disks: Draft['disks']): Draft {
  return { runId: 'a-run', vm, consistency: { asked: 'crash', reached: 'crash' }, disks };
}

function diskOf(path: string, slot: number): Draft['disks'][number] {
  return {
    diskId: path,
    attachment: { controller: 'scsi', controllerNumber: 0, slot },
    path,
    size: TiB,
    logicalSectorSize: 512,
    physicalSectorSize: 4096,
    root: { id: null, levels: 3 },
    kind: 'delta',
    reason: 'changes-since-reference-point',
    hostFileBytes: 100 * GiB,
  };
}

/** Bytes besides data that one increment adds: pages of the map, entries of trailers and index, manifest. */
async function mapOverhead({ changes }: { changes: number }): Promise<object> {
  const store = createMemoryStore();
  const { repository } = await createRepository(store, { encryption: { passphrase: PASSPHRASE } });
  const size = 64 * TiB;
  const stride = Math.floor(size / changes / (64 * KiB)) * 64 * KiB;
  const extents = Array.from({ length: changes }, (_, n) => ({ offset: n * stride, length: 64 * KiB }));
  let root: Draft['disks'][number]['root'] | undefined;
  let [dataBytes, allBytes] = [0, 0];
  for (let round = 0; round < 2; round += 1) {
    const before = await sizeOf(store);
    await using session = await repository.startSession({ workers: 0 });
    const reader = new SparseDisk(size, round);
    const ingested = await session.ingestDisk({ reader, extents, size, ...(root ? { base: root } : {}) });
    root = ingested.root;
    dataBytes = ingested.stats.newRawBytes;
    const configuration = await session.putBlob(Buffer.from('{}'));
    const disk = { ...diskOf('C:\\disk.vhdx', 0), size, root };
    await session.commit(draft({ id: VM_ID, name: 'vm', host: 'HV1', configuration }, [disk]));
    allBytes = (await sizeOf(store)) - before;
  }
  return { changes, dataBytes, overheadBytes: allBytes - dataBytes };
}

async function sizeOf(store: ObjectStore): Promise<number> {
  let bytes = 0;
  for await (const { name, size } of store.list('')) if (!name.startsWith('sessions/')) bytes += size;
  return bytes;
}

const [name, request] = process.argv.slice(2);
const task = TASKS[name ?? ''];
if (!task) throw new Error(`no task ${name}; there are ${Object.keys(TASKS).join(', ')}`);
console.log(JSON.stringify(await task(JSON.parse(request ?? '{}') as never)));
