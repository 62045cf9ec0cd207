import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { MiB } from '../base/index.ts';
import { alignOut, normalise, subtract, type Extent } from '../extents/index.ts';
import { allPieces, areaOf, imageFolder, makeExt4, run, withMap } from './images.fixture.ts';

const needs = requires(
  ['mke2fs', 'dumpe2fs', 'debugfs'],
  'that areas of ext4 lie where its own tools see them',
);

/** `a-b` and `a` in a list, as bytes. */
function ranges(list: string, blockBytes: number): Extent[] {
  return [...list.matchAll(/(\d+)(?:-(\d+))?/g)].map(([, from, to]) => ({
    offset: Number(from) * blockBytes,
    length: (Number(to ?? from) - Number(from) + 1) * blockBytes,
  }));
}

function reported(dump: string, label: string, blockBytes: number): Extent[] {
  const lines = [...dump.matchAll(new RegExp(`${label} at ([\\d-]+)`, 'g'))];
  return normalise(lines.flatMap(([, list]) => ranges(list!, blockBytes)));
}

function blocksOf(image: string, file: string, blockBytes: number): Extent[] {
  return normalise(ranges(run('debugfs', '-R', `blocks ${file}`, image), blockBytes));
}

const VARIANTS: readonly (readonly [name: string, bytes: number, ...options: string[]])[] = [
  ['of the usual kind', 200 * MiB],
  ['with blocks of 1 KiB and small groups', 40 * MiB, '-b', '1024', '-g', '4096'],
  [
    'without flex_bg, with copies of the superblock in all groups',
    70 * MiB,
    '-b',
    '1024',
    '-O',
    '^flex_bg,^sparse_super,^resize_inode',
  ],
  ['with descriptors in meta groups', 60 * MiB, '-b', '1024', '-O', 'meta_bg,^resize_inode'],
  ['with clusters', 64 * MiB, '-O', 'bigalloc', '-C', '16384'],
  ['with copies of the superblock in two groups', 64 * MiB, '-b', '1024', '-O', 'sparse_super2'],
];

for (const [name, bytes, ...options] of VARIANTS) {
  test(`an ext4 volume ${name} is mapped as dumpe2fs and debugfs see it`, needs, async () => {
    using folder = imageFolder();
    const image = makeExt4(folder, bytes, ...options);
    const dump = run('dumpe2fs', image);
    const blockBytes = Number(/^Block size:\s+(\d+)/m.exec(dump)![1]);
    await withMap(image, async (map, size) => {
      assert.deepEqual([map.fileSystem, map.label, map.missing], ['ext4', 'guest', []]);
      const bitmaps = [
        ...reported(dump, 'Block bitmap', blockBytes),
        ...reported(dump, 'Inode bitmap', blockBytes),
      ];
      assert.deepEqual(normalise(await areaOf(map, size, 'bitmaps')), normalise(bitmaps));
      assert.deepEqual(await areaOf(map, size, 'inode tables'), reported(dump, 'Inode table', blockBytes));
      assert.deepEqual(await areaOf(map, size, 'journal'), blocksOf(image, '<8>', blockBytes));
      const superblocks = [
        ...reported(dump, '(?:Primary|Backup) superblock', blockBytes),
        ...reported(dump, 'Group descriptors?', blockBytes),
        ...reported(dump, 'Reserved GDT blocks', blockBytes),
        ...(blockBytes === 1024 ? [{ offset: 0, length: 1024 }] : []),
      ];
      assert.deepEqual(await areaOf(map, size, 'superblocks'), normalise(superblocks));
      const free = [...dump.matchAll(/Free blocks: ([\d, -]+)$/gm)];
      const freeExtents = normalise(free.flatMap(([, list]) => ranges(list!, blockBytes)));
      // dumpe2fs ends a range with the first block of its last cluster.
      const grid = Number(/^Cluster size:\s+(\d+)/m.exec(dump)?.[1] ?? blockBytes);
      assert.deepEqual(
        await areaOf(map, size, 'free'),
        grid === blockBytes ? freeExtents : alignOut(freeExtents, grid, size),
      );
      const data = blocksOf(image, '/data.bin', blockBytes);
      assert.ok(data.length > 0);
      assert.deepEqual(subtract(data, await areaOf(map, size, 'files')), []);
      const pieces = await allPieces(map, size);
      assert.deepEqual(normalise(pieces), [{ offset: 0, length: size }], 'every byte is in one area');
    });
  });
}
