import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, newGuid } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import type { Extent } from '../extents/index.ts';
import { createMemoryStore } from '../objectstore/index.ts';
import { createRepository, type Repository, type RestorePoint } from '../repository/index.ts';
import { explainPoint, type AreaExplanation, type DiskExplanation } from './explain-point.ts';

const SIZE = 128 * MiB;
const [EXT4, NTFS] = [
  { offset: MiB, length: 40 * MiB },
  { offset: 48 * MiB, length: 64 * MiB },
];
const DISK_ID = newGuid();
const VM_ID = newGuid();

function run(program: string, ...args: string[]): string {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, LC_ALL: 'C' };
  return execFileSync(program, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** An MBR with an ext4 and an NTFS volume; the NTFS one has a page file. Also: where that page file lies on the disk. */
async function makeDisk(): Promise<{ disk: MemoryDisk; pagefile: Extent }> {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-explain-'));
  try {
    const [ext4, ntfs, source] = ['ext4', 'ntfs', 'source'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    for (const [path, { length }] of [
      [ext4, EXT4],
      [ntfs, NTFS],
    ] as const) {
      writeFileSync(path, '');
      truncateSync(path, length);
    }
    writeFileSync(source, Buffer.alloc(8 * MiB, 7));
    run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'root', ext4);
    run('mkntfs', '-q', '-F', '-Q', '-L', 'Windows', ntfs);
    run('ntfscp', '-f', ntfs, source, 'pagefile.sys');
    const [, cluster] = /^\s+0\s+(\d+)\s+2048$/m.exec(run('ntfscluster', '-f', '-F', 'pagefile.sys', ntfs))!;
    const disk = new MemoryDisk(SIZE);
    await disk.write(0, masterBootRecord());
    await disk.write(EXT4.offset, readFileSync(ext4));
    await disk.write(NTFS.offset, readFileSync(ntfs));
    return { disk, pagefile: { offset: NTFS.offset + Number(cluster) * 4096, length: 8 * MiB } };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function masterBootRecord(): Buffer {
  const sector = Buffer.alloc(512);
  for (const [index, { offset, length }] of [EXT4, NTFS].entries()) {
    const at = 446 + 16 * index;
    sector[at + 4] = [0x83, 0x07][index]!;
    sector.writeUInt32LE(offset / 512, at + 8);
    sector.writeUInt32LE(length / 512, at + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

class History {
  readonly repository: Repository;
  readonly disk: MemoryDisk;
  #last: RestorePoint | undefined;

  constructor(repository: Repository, disk: MemoryDisk) {
    this.repository = repository;
    this.disk = disk;
  }

  /** Backs up the ranges the host reports; the first time everything. */
  async backUp(reported: readonly Extent[] = [...this.disk.allocated()]): Promise<RestorePoint> {
    await using session = await this.repository.startSession({ workers: 0 });
    const last = this.#last;
    const base = last ? { base: last.disks[0]!.root } : {};
    const { root, stats } = await session.ingestDisk({
      reader: this.disk,
      extents: reported,
      size: SIZE,
      ...base,
    });
    this.#last = await session.commit({
      runId: newGuid(),
      parent: last?.id,
      vm: { id: VM_ID, name: 'vm', host: 'host', configuration: await session.putBlob(Buffer.from('{}')) },
      consistency: { asked: 'crash', reached: 'crash' },
      disks: [
        {
          diskId: DISK_ID,
          attachment: { controller: 'scsi', controllerNumber: 0, slot: 0 },
          path: 'C:\\vm.vhdx',
          size: SIZE,
          logicalSectorSize: 512,
          physicalSectorSize: 4096,
          root,
          kind: last ? 'delta' : 'full',
          reason: 'a test',
          stats,
        },
      ],
    });
    return this.#last;
  }

  async write(offset: number, length: number, seed: number): Promise<Extent> {
    const bytes = Buffer.alloc(length, seed);
    for (let at = 0; at < length; at += 4096) bytes.writeUInt32LE(seed * 65_536 + at / 4096, at);
    await this.disk.write(offset, bytes);
    return { offset, length };
  }

  async why(point: RestorePoint): Promise<DiskExplanation> {
    return (await explainPoint(this.repository, { point })).disks[0]!;
  }
}

async function history(disk: MemoryDisk): Promise<History> {
  const { repository } = await createRepository(createMemoryStore(), { encryption: 'none' });
  return new History(repository, disk);
}

function area(explained: DiskExplanation, partition: number, name: string): AreaExplanation | undefined {
  return explained.areas.find((each) => each.partition === partition && each.area === name);
}

const needs = requires(
  ['mke2fs', 'mkntfs', 'ntfscp', 'ntfscluster'],
  'that an increment is explained by the file systems of its guest',
);

test(
  'an increment is told by area of NTFS and ext4, beside what is usual, with what was over-reported',
  needs,
  async () => {
    const { disk, pagefile } = await makeDisk();
    const it = await history(disk);
    const first = await it.backUp();
    for (let day = 1; day <= 12; day += 1) await it.backUp([await it.write(pagefile.offset, 256 * KiB, day)]);
    const changes = [
      await it.write(EXT4.offset, 1024, 99), // before the superblock
      await it.write(pagefile.offset, 4 * MiB, 100),
      await it.write(pagefile.offset + 6 * MiB, 4096, 101),
    ];
    const unchanged = { offset: NTFS.offset + 50 * MiB, length: 2 * MiB };
    const last = await it.backUp([...changes, unchanged].toSorted((a, b) => a.offset - b.offset));
    const explained = await it.why(last);
    assert.equal(explained.partitionTable, 'mbr');
    assert.deepEqual(area(explained, 2, 'pagefile'), {
      partition: 2,
      area: 'pagefile',
      changedBytes: area(explained, 2, 'pagefile')!.changedBytes,
      writtenBytes: 4 * MiB + 4096,
      usualBytes: area(explained, 2, 'pagefile')!.usualBytes,
    });
    const { changedBytes, usualBytes } = area(explained, 2, 'pagefile')!;
    assert.ok(usualBytes! >= 256 * KiB && usualBytes! <= 320 * KiB, `${usualBytes} usual`);
    assert.ok(
      changedBytes >= 4 * MiB + 64 * KiB && changedBytes <= 4 * MiB + 192 * KiB,
      `${changedBytes} changed`,
    );
    assert.equal(area(explained, 1, 'superblocks')!.writtenBytes, 4096);
    assert.equal(explained.usualOf, 10);
    assert.equal(explained.overReportedBytes, 2 * MiB, 'the range that was reported and is as it was');
    assert.equal(explained.writtenBytes, 4 * MiB + 2 * 4096);
    assert.equal(explained.regions[0]!.area, 'pagefile');
    assert.ok(explained.regions[0]!.length >= 4 * MiB);
    assert.equal(
      explained.changedBytes,
      explained.areas.reduce((sum, each) => sum + each.changedBytes, 0),
    );
    assert.deepEqual(
      explained.volumes.map(({ partition, fileSystem, label }) => [partition, fileSystem, label]),
      [
        [1, 'ext4', 'root'],
        [2, 'ntfs', 'Windows'],
      ],
    );
    const full = await it.why(first);
    assert.deepEqual([full.comparedWith, full.writtenBytes, full.usualOf], [undefined, undefined, 0]);
    assert.ok(full.changedBytes > 8 * MiB);
  },
);

test(
  'a guest that destroyed its file systems gets its regions, and why there are no areas',
  needs,
  async () => {
    const { disk } = await makeDisk();
    const it = await history(disk);
    await it.backUp();
    const changes = [
      await it.write(EXT4.offset, 64 * KiB, 1),
      await it.write(NTFS.offset + 16 * KiB, 64 * KiB, 2), // the MFT
    ];
    const explained = await it.why(await it.backUp(changes));
    assert.deepEqual(
      explained.volumes.map(({ fileSystem, unreadable }) => [fileSystem, unreadable !== undefined]),
      [
        ['unknown', true],
        ['ntfs', true],
      ],
    );
    assert.deepEqual([...new Set(explained.areas.map((each) => each.area))], ['not read']);
    assert.equal(explained.regions.length, 2);
  },
);

test('an empty increment, and a disk without a partition table, are explained', async () => {
  const it = await history(new MemoryDisk(SIZE));
  await it.write(10 * MiB, 64 * KiB, 1);
  await it.backUp();
  const nothing = await it.why(await it.backUp([]));
  assert.deepEqual([nothing.changedBytes, nothing.areas, nothing.regions], [0, [], []]);
  const something = await it.why(await it.backUp([await it.write(20 * MiB, 4096, 2)]));
  assert.deepEqual(
    [something.partitionTable, something.writtenBytes, something.usualBytes],
    ['none', 4096, 0],
  );
});
