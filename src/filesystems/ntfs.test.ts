import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { MiB } from '../base/index.ts';
import { normalise, subtract, type Extent } from '../extents/index.ts';
import { allPieces, areaOf, imageFolder, makeNtfs, run, withMap } from './images.fixture.ts';
import { splitFile } from './ntfs-split.fixture.ts';

const needs = requires(
  ['mkntfs', 'ntfscp', 'ntfscluster'],
  'that areas of NTFS lie where the tools of ntfs-3g see them',
);

/** The clusters of an inode's attributes of this type, as bytes. */
function clustersOf(image: string, which: readonly string[], type: string, clusterBytes: number): Extent[] {
  const parts = run('ntfscluster', '-f', ...which, image).split(/^ {4}(?=0x)/m);
  const part = parts.find((each) => each.startsWith(`${type} - non-resident`)) ?? '';
  return normalise(
    [...part.matchAll(/^\s+\d+\s+(\d+)\s+(\d+)$/gm)].map(([, cluster, length]) => ({
      offset: Number(cluster) * clusterBytes,
      length: Number(length) * clusterBytes,
    })),
  );
}

for (const clusterBytes of [512, 4096, 65_536]) {
  test(
    `an NTFS volume with clusters of ${clusterBytes} is mapped as ntfscluster sees it`,
    needs,
    async () => {
      using folder = imageFolder();
      const image = makeNtfs(folder, 64 * MiB, '-c', String(clusterBytes));
      const source = folder.file('source', Buffer.alloc(3_000_001, 7));
      for (const name of ['pagefile.sys', 'swapfile.sys', 'hiberfil.sys', 'other.bin']) {
        run('ntfscp', '-f', image, source, name);
      }
      // A folder beyond what its record holds: names are then read from index blocks.
      const small = folder.file('small', Buffer.from('x'));
      for (let n = 0; n < 40; n += 1) run('ntfscp', '-f', image, small, `a-long-name-of-a-small-file-${n}`);
      const inode = (number: number, type = '0x80'): Extent[] =>
        clustersOf(image, ['-I', String(number)], type, clusterBytes);
      const file = (name: string): Extent[] => clustersOf(image, ['-F', name], '0x80', clusterBytes);
      await withMap(image, async (map, size) => {
        assert.deepEqual([map.fileSystem, map.label, map.missing], ['ntfs', 'Data', []]);
        const expected = {
          $MFT: [...inode(0), ...inode(1), ...inode(0, '0xb0')],
          $LogFile: inode(2),
          bitmap: inode(6),
          boot: [...inode(7), { offset: 0, length: clusterBytes }],
          pagefile: [...file('pagefile.sys'), ...file('swapfile.sys')],
          'hibernation file': file('hiberfil.sys'),
        };
        for (const [area, extents] of Object.entries(expected)) {
          assert.ok(extents.length > 0, area);
          assert.deepEqual(await areaOf(map, size, area), normalise(extents), area);
        }
        assert.deepEqual(subtract(file('other.bin'), await areaOf(map, size, 'files')), []);
        assert.deepEqual(normalise(await allPieces(map, size)), [{ offset: 0, length: size }]);
        const free = (await areaOf(map, size, 'free')).reduce((sum, { length }) => sum + length, 0);
        assert.ok(free > 40 * MiB && free < 52 * MiB, `${free} bytes are free`);
      });
    },
  );
}

test('a file of NTFS that an attribute list spreads over records is found whole', needs, async () => {
  using folder = imageFolder();
  const image = makeNtfs(folder, 64 * MiB);
  const source = folder.file('source', Buffer.alloc(3_000_000, 7));
  run('ntfscp', '-f', image, source, 'pagefile.sys');
  const whole = clustersOf(image, ['-F', 'pagefile.sys'], '0x80', 4096);
  await splitFile(image, { lengthClusters: whole[0]!.length / 4096, cluster: whole[0]!.offset / 4096 });
  await withMap(image, async (map, size) => {
    assert.deepEqual(map.missing, []);
    assert.deepEqual(await areaOf(map, size, 'pagefile'), whole);
  });
});
