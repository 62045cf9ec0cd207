import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB } from '../base/index.ts';
import { MemoryDisk } from '../disk/index.ts';
import { imageFolder, makeExt4, run, type ImageFolder } from './images.fixture.ts';
import { readPartitions } from './index.ts';

const needs = requires(['sfdisk'], 'that partition tables of other programs are read as those read them');

function partitioned(folder: ImageFolder, script: string): string {
  const image = folder.file('disk.img', new Uint8Array());
  truncateSync(image, 64 * MiB);
  execFileSync('/usr/sbin/sfdisk', ['-q', image], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
  return image;
}

async function diskOf(image: string, logicalSectorSize = 512): Promise<MemoryDisk> {
  const bytes = readFileSync(image);
  const disk = new MemoryDisk(bytes.length, { logicalSectorSize });
  await disk.write(0, bytes);
  return disk;
}

const TABLES = {
  gpt: 'label: gpt\nstart=2048,size=8192,type=U,name="EFI system"\nsize=16384,type=L,name="data"\ntype=L\n',
  mbr: 'label: dos\n2048,4M,7\n,8M,83\n,,E\n,4M,83\n,6M,82\n,,83\n',
} as const;

for (const [kind, script] of Object.entries(TABLES)) {
  test(`partitions of ${kind} are those that sfdisk tells`, needs, async () => {
    using folder = imageFolder();
    const image = partitioned(folder, script);
    const { partitions } = JSON.parse(run('sfdisk', '-J', image)).partitiontable;
    const told = (partitions as { start: number; size: number; type: string; name?: string }[])
      .filter(({ type }) => type !== 'f' && type !== '5')
      .map(({ start, size, name }) => ({ offset: start * 512, length: size * 512, name: name ?? '' }));
    const table = await readPartitions(await diskOf(image));
    assert.equal(table.kind, kind);
    assert.ok(told.length >= 3);
    assert.deepEqual(
      table.partitions.map(({ offset, length, name }) => ({ offset, length, name })),
      told,
    );
  });
}

test('a disk that begins with a file system, or with nothing, has no partitions', async () => {
  assert.deepEqual(await readPartitions(new MemoryDisk(MiB)), { kind: 'none', partitions: [] });
  assert.deepEqual(await readPartitions(new MemoryDisk(512)), { kind: 'none', partitions: [] });
});

test(
  'an ext4 volume without a partition table has none',
  requires(['mke2fs'], 'that a volume without a table is told from one with'),
  async () => {
    using folder = imageFolder();
    const disk = await diskOf(makeExt4(folder, 16 * MiB));
    assert.deepEqual(await readPartitions(disk), { kind: 'none', partitions: [] });
  },
);

test('a chain of logical partitions that is a ring ends', async () => {
  const disk = new MemoryDisk(MiB);
  const sector = Buffer.alloc(512);
  sector.writeUInt16LE(0xaa55, 510);
  sector[446 + 4] = 0x05; // extended, at sector 8
  sector.writeUInt32LE(8, 446 + 8);
  sector.writeUInt32LE(1000, 446 + 12);
  await disk.write(0, sector);
  sector[446 + 16 + 4] = 0x83;
  sector.writeUInt32LE(1, 446 + 16 + 8);
  sector.writeUInt32LE(2, 446 + 16 + 12);
  sector.writeUInt32LE(0, 446 + 8); // the next table is this one
  await disk.write(4 * KiB, sector);
  const { partitions } = await readPartitions(disk);
  assert.ok(partitions.length > 0 && partitions.length <= 128, `${partitions.length} partitions`);
});
