/**
 * Makes the repositories that pin a format version: `node -C source scripts/make-golden-repository.ts FOLDER`.
 *
 *   FOLDER/encrypted, FOLDER/plain     the same content, with and without encryption
 *   FOLDER/expected.json               what a reader has to find in them, taken from the disks that went in
 *
 * Run once for each format version, then never again: the files are evidence of what was written then. What goes in makes
 * every form of a slot: whole chunks, runs, patches over chunks and over zeros, trimmed cells, repeated content, short last
 * slots, disks that grew and shrank, a map of two levels, an index that was rebuilt.
 */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../src/base/index.ts';
import { MemoryDisk } from '../src/disk/index.ts';
import { normalise, type Extent } from '../src/extents/index.ts';
import { openDirectoryStore } from '../src/objectstore/index.ts';
import {
  createRepository,
  type MapRoot,
  type PointDisk,
  type PointVm,
  type Repository,
  type RestorePoint,
} from '../src/repository/index.ts';

const PASSPHRASE = 'golden, not sécret';
const CELL = 64 * KiB;
const WEB = { id: '0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0ff', name: 'web-ä "1"', host: 'HV1', generation: 2 };
const EMPTY = { id: '99999999-8888-4777-8666-555555555555', name: 'empty', host: 'HV2', generation: 1 };
const DISKS = ['a1a1a1a1-0000-4000-8000-000000000001', 'b2b2b2b2-0000-4000-8000-000000000002'];

interface Write {
  readonly offset: number;
  /** A number: text from this seed. */
  readonly content: number | 'zeros' | 'noise';
  readonly length: number;
}

interface Change {
  readonly size: number;
  readonly writes: readonly Write[];
  /** Reported besides what was written. */
  readonly reported?: readonly Extent[];
}

/** By restore point, then by disk. */
const GENERATIONS: readonly (readonly Change[])[] = [
  [
    {
      size: 258 * MiB + 4608,
      writes: [
        { offset: 0, content: 1, length: MiB },
        { offset: 2 * MiB + 3 * CELL, content: 2, length: 2 * CELL + 700 },
        { offset: 3 * MiB, content: 1, length: MiB },
        { offset: 5 * MiB + 2 * CELL, content: 3, length: 13 * CELL },
        { offset: 258 * MiB, content: 'noise', length: 4608 },
      ],
    },
    { size: 2 * MiB + 512, writes: [{ offset: MiB + 9 * CELL, content: 5, length: 7 * CELL + 512 }] },
  ],
  [
    {
      size: 258 * MiB + 4608,
      writes: [
        { offset: 5 * CELL + 1000, content: 6, length: 3000 },
        { offset: 7 * CELL, content: 'zeros', length: CELL },
        { offset: 2 * MiB + 4 * CELL, content: 1, length: CELL },
        { offset: 257 * MiB + 15 * CELL, content: 7, length: CELL },
      ],
    },
    { size: 2 * MiB + 512, writes: [], reported: [{ offset: MiB, length: MiB }] },
  ],
  [
    { size: 257 * MiB + 3 * CELL + 512, writes: [{ offset: 3 * MiB + CELL, content: 8, length: 11 * CELL }] },
    { size: 5 * MiB, writes: [{ offset: 4 * MiB, content: 9, length: 512 }] },
  ],
];

class GoldenVm {
  readonly #repository: Repository;
  readonly #vm: Omit<PointVm, 'configuration'>;
  #disks: MemoryDisk[] = [];
  #roots: MapRoot[] = [];

  constructor(repository: Repository, vm: Omit<PointVm, 'configuration'>) {
    this.#repository = repository;
    this.#vm = vm;
  }

  /** Applies the changes and makes a restore point. What it returns is what a reader has to find. */
  async backUp(changes: readonly Change[]): Promise<object> {
    await using session = await this.#repository.startSession({ workers: 0 });
    const disks: PointDisk[] = [];
    const expected: object[] = [];
    for (const [index, change] of changes.entries()) {
      const base = this.#roots[index];
      const disk = (this.#disks[index] = await resized(this.#disks[index], change.size));
      const changed = await apply(disk, change);
      const { root, stats } = await session.ingestDisk({
        reader: disk,
        extents: base ? changed : disk.allocated(),
        size: disk.size,
        ...(base ? { base } : {}),
      });
      this.#roots[index] = root;
      disks.push({ ...this.#diskOf(index, base), size: disk.size, root, stats });
      expected.push({ diskId: DISKS[index], size: disk.size, sha256: await contentDigest(disk) });
    }
    const configuration = await session.putBlob(Buffer.from(JSON.stringify({ name: this.#vm.name })));
    const point = await session.commit({
      runId: 'golden',
      vm: { ...this.#vm, configuration },
      consistency: { asked: 'application-preferred', reached: 'application' },
      disks,
    });
    await this.#moveBaseline(point);
    return { id: point.id, created: point.created, vm: this.#vm, disks: expected };
  }

  #diskOf(index: number, base: MapRoot | undefined) {
    return {
      diskId: DISKS[index]!,
      attachment: { controller: 'scsi', controllerNumber: 0, slot: index },
      path: `C:\\VMs\\${this.#vm.name}\\disk${index}.vhdx`,
      logicalSectorSize: 512,
      physicalSectorSize: 4096,
      ...(base
        ? { kind: 'delta' as const, reason: 'changes-since-reference-point' }
        : { kind: 'full' as const, reason: 'first-backup' }),
    };
  }

  async #moveBaseline(point: RestorePoint): Promise<void> {
    const older = await this.#repository.baselines(point.vm.id);
    await this.#repository.recordBaseline({
      pointId: point.id,
      vmId: point.vm.id,
      referencePointId: `Microsoft:${point.id}`,
      consistency: 'application',
      disks: [],
    });
    for (const each of older) await this.#repository.forgetBaseline(each);
  }
}

async function apply(disk: MemoryDisk, { writes, reported = [] }: Change): Promise<Extent[]> {
  for (const { offset, content, length } of writes) {
    if (content === 'zeros') await disk.zero(offset, length);
    else await disk.write(offset, content === 'noise' ? noiseOf(length) : textOf(content, length));
  }
  return normalise([...writes.map(({ offset, length }) => ({ offset, length })), ...reported]);
}

/** Lines of 64 bytes that compress well, so that the fixture stays small. */
function textOf(seed: number, length: number): Buffer {
  const lines = Array.from({ length: Math.ceil(length / 64) }, (_, line) => {
    const mark = digest(`${seed} ${line >>> 2}`)
      .toString('hex')
      .slice(0, 4);
    return `seed ${seed} line ${line} mark ${mark}`.padEnd(63, '.') + '\n';
  });
  return Buffer.from(lines.join('')).subarray(0, length);
}

/** Bytes that do not compress. */
function noiseOf(length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, part) => digest(`noise ${part}`));
  return Buffer.concat(parts).subarray(0, length);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** The same content on a disk of another size: grown with zeros, or cut. */
async function resized(disk: MemoryDisk | undefined, size: number): Promise<MemoryDisk> {
  const copy = new MemoryDisk(size);
  for (const { offset, length } of disk?.allocated({ offset: 0, length: Math.min(disk.size, size) }) ?? []) {
    const bytes = Buffer.alloc(length);
    await disk!.read(offset, bytes);
    await copy.write(offset, bytes);
  }
  return copy;
}

async function contentDigest(disk: MemoryDisk): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < disk.size; at += MiB) {
    const bytes = Buffer.alloc(Math.min(MiB, disk.size - at));
    await disk.read(at, bytes);
    hash.update(bytes);
  }
  return hash.digest('hex');
}

async function makeRepository(path: string, encryption: { passphrase: string } | 'none'): Promise<object> {
  let minutes = 0;
  const now = (): Date => new Date(Date.UTC(2026, 10, 23, 10, (minutes += 1)));
  const store = await openDirectoryStore(path, { create: true });
  const { repository, recoveryKey } = await createRepository(store, { encryption, now });
  const web = new GoldenVm(repository, WEB);
  const points = [await web.backUp(GENERATIONS[0]!), await web.backUp(GENERATIONS[1]!)];
  await repository.rebuildIndex();
  points.push(await web.backUp(GENERATIONS[2]!));
  points.push(await new GoldenVm(repository, EMPTY).backUp([{ size: 100 * MiB, writes: [] }]));
  await repository.journal.record(WEB.id, { key: 'golden-freezing', value: { step: 'freezing' } });
  return { recoveryKey, points };
}

const folder = process.argv[2];
if (!folder) throw new Error('name the folder to make');
await mkdir(folder); // fails when it exists: evidence is not overwritten
const expected = {
  passphrase: PASSPHRASE,
  encrypted: await makeRepository(join(folder, 'encrypted'), { passphrase: PASSPHRASE }),
  plain: await makeRepository(join(folder, 'plain'), 'none'),
};
await writeFile(join(folder, 'expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
