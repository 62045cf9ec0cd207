import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { requires } from '../../test/requires.ts';
import { isFault, MiB } from '../base/index.ts';
import { CountingDisk, MemoryDisk } from '../disk/index.ts';
import { imageFolder, makeExt4, makeNtfs, run, type ImageFolder } from './images.fixture.ts';
import { openVolume, readPartitions } from './index.ts';

/** More than any sound volume of this size is asked for, and far less than a ring or a huge length would cost. */
const READ_BYTES_MAX = 48 * MiB;

async function diskOf(image: string): Promise<MemoryDisk> {
  const bytes = readFileSync(image);
  const disk = new MemoryDisk(bytes.length);
  await disk.write(0, bytes);
  return disk;
}

/** Opens it and asks for all of it: a map or a reason, every byte once, and bounded reading. */
async function assertBounded(disk: MemoryDisk): Promise<void> {
  const counted = new CountingDisk(disk);
  await readPartitions(counted).catch(assertDamage);
  const { map, unreadable } = await openVolume(counted, { offset: 0, length: disk.size });
  assert.ok((map === undefined) !== (unreadable === undefined));
  if (map) await drain(map.pieces({ offset: 0, length: disk.size }), disk.size).catch(assertDamage);
  assert.ok(counted.stats.readBytes < READ_BYTES_MAX, `${counted.stats.readBytes} bytes were read`);
}

async function drain(pieces: AsyncIterable<{ offset: number; length: number }>, size: number): Promise<void> {
  let reached = 0;
  for await (const { offset, length } of pieces) {
    assert.equal(offset, reached);
    assert.ok(length > 0);
    reached += length;
  }
  assert.equal(reached, size);
}

function assertDamage(error: unknown): void {
  assert.ok(isFault(error) && error.code.startsWith('FILESYSTEM_'), String(error));
}

const KINDS: readonly (readonly [string, (folder: ImageFolder) => string, readonly number[]])[] = [
  [
    'ext4',
    (folder) => makeExt4(folder, 24 * MiB, '-b', '1024'),
    // superblock, descriptors, bitmaps and the start of the inode tables with the journal's inode
    [0, 1024, 2048, 66 * 1024, 140 * 1024],
  ],
  [
    'ntfs',
    (folder) => {
      const image = makeNtfs(folder, 16 * MiB);
      run('ntfscp', '-f', image, folder.file('source', Buffer.alloc(1_000_000, 7)), 'pagefile.sys');
      return image;
    },
    // boot sector, MFT
    [0, 16_384, 20_480, 24_576, 16_384 + 64 * 1024],
  ],
];

for (const [name, make, places] of KINDS) {
  test(
    `a damaged ${name} volume gives a reason or a map, and costs no more than a sound one`,
    requires(['mke2fs', 'mkntfs', 'ntfscp'], `that a hostile ${name} volume does no harm`),
    async () => {
      using folder = imageFolder();
      const sound = await diskOf(make(folder));
      const place = fc.tuple(fc.constantFrom(...places), fc.nat(4095)).map(([base, at]) => base + at);
      const value = fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 8 }),
        fc.constant(new Uint8Array(8).fill(255)),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 6 }), async (writes) => {
          const disk = sound.snapshot();
          for (const [offset, bytes] of writes) await disk.write(offset, bytes);
          await assertBounded(disk);
        }),
        { numRuns: 120 },
      );
    },
  );
}
