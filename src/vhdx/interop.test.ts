/** Other software over the same files: qemu both ways, libvhdi over ours. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { KiB, MiB, newGuid } from '../base/index.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { mergeVhdx } from './merge.ts';
import { createPlacedVhdx } from './placed.ts';
import { assertSameBytes, contentOf, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
const raw = join(folder, 'content.raw');
const SIZE = 70 * MiB + 512;
const content = Buffer.alloc(SIZE);

/** Data at the start, across a block of 32 MiB, alone in a block, and in the last, shorter block. */
const DATA = [
  { offset: 0, length: 3 * MiB },
  { offset: 31 * MiB, length: 2 * MiB + 512 },
  { offset: 50 * MiB + 4096, length: 4096 },
  { offset: SIZE - 1536, length: 1536 },
];

before(() => {
  for (const { offset, length } of DATA) randomBytes(length).copy(content, offset);
  writeFileSync(raw, content);
});

const qemu = (...args: string[]): string => execFileSync('qemu-img', args, { encoding: 'utf8' });

function assertQemuAgrees(path: string): void {
  qemu('check', '-f', 'vhdx', path);
  qemu('compare', '-f', 'raw', '-F', 'vhdx', raw, path);
}

async function writeContent(path: string): Promise<void> {
  const file = await openVhdxWritable(path);
  for (const { offset, length } of DATA) await file.write(offset, content.subarray(offset, offset + length));
  await file.close();
}

for (const kind of ['dynamic', 'fixed'] as const) {
  for (const blockSize of [MiB, 8 * MiB, 32 * MiB]) {
    const shape = `${kind} of ${blockSize / MiB} MiB blocks`;

    test(
      `qemu checks and reads what is written here: ${shape}`,
      requires(['qemu-img'], 'that qemu reads our files'),
      async () => {
        const path = join(folder, 'ours.vhdx');
        await createVhdx(path, { size: SIZE, kind, blockSize });
        await writeContent(path);
        assertQemuAgrees(path);
        rmSync(path);
      },
    );

    test(
      `what qemu writes is read here: ${shape}`,
      requires(['qemu-img'], 'that we read files of qemu'),
      async () => {
        const path = join(folder, 'theirs.vhdx');
        for (const zeroState of ['on', 'off']) {
          const options = `subformat=${kind},block_size=${blockSize},block_state_zero=${zeroState}`;
          qemu('convert', '-f', 'raw', '-O', 'vhdx', '-o', options, raw, path);
          assertSameBytes(await contentOf(path), content, options);
          await withChain(path, async (disk) => {
            assert.deepEqual([disk.kind, disk.blockSize, disk.size], [kind, blockSize, SIZE]);
          });
        }
        rmSync(path);
      },
    );
  }
}

test(
  'qemu goes on writing in a file of ours, and we go on after it',
  requires(['qemu-img', 'qemu-io'], 'that both may write the same file in turn'),
  async () => {
    const path = join(folder, 'turns.vhdx');
    await createVhdx(path, { size: SIZE, kind: 'dynamic', blockSize: 2 * MiB });
    await writeContent(path);
    execFileSync('qemu-io', [
      '-f',
      'vhdx',
      '-c',
      'write -P 0x5a 20M 3M',
      '-c',
      'write -P 0x5b 512 512',
      path,
    ]);
    const expected = Buffer.from(content);
    expected.fill(0x5a, 20 * MiB, 23 * MiB).fill(0x5b, 512, 1024);
    assertSameBytes(await contentOf(path), expected, 'after qemu');
    const file = await openVhdxWritable(path);
    await file.write(22 * MiB, content.subarray(0, 2 * MiB));
    await file.zero(0, 4 * MiB);
    await file.close();
    content.copy(expected, 22 * MiB, 0, 2 * MiB);
    expected.fill(0, 0, 4 * MiB);
    assertSameBytes(await contentOf(path), expected, 'after us');
    qemu('check', '-f', 'vhdx', path);
    rmSync(path);
  },
);

for (const kind of ['dynamic', 'fixed'] as const) {
  test(
    `qemu reads zeros where a ${kind} disk was trimmed`,
    requires(['qemu-img'], 'that qemu takes unmapped blocks for zeros'),
    async () => {
      const path = join(folder, 'trimmed.vhdx');
      await createVhdx(path, { size: SIZE, kind, blockSize: 2 * MiB });
      const file = await openVhdxWritable(path);
      await file.write(0, Buffer.alloc(SIZE, 0x77));
      await file.flush();
      await file.trim(0, SIZE);
      for (const { offset, length } of DATA)
        await file.write(offset, content.subarray(offset, offset + length));
      await file.close();
      assertQemuAgrees(path);
      rmSync(path);
    },
  );
}

test(
  'a placed image, its blocks written by path, is read by qemu; blocks never placed are holes',
  requires(['qemu-img'], 'that qemu reads placed images'),
  async () => {
    const path = join(folder, 'placed.vhdx');
    const writer = await createPlacedVhdx(path, { size: SIZE });
    const handle = await open(writer.path, 'r+');
    for (const { offset, length } of DATA) {
      let done = offset;
      for (const span of await writer.place(offset, length)) {
        await handle.write(content, done, span.length, span.fileOffset);
        done += span.length;
      }
      assert.equal(done, offset + length);
    }
    await handle.close();
    await writer.finish();
    assertQemuAgrees(path);
    rmSync(path);
  },
);

test(
  'a base that a child was merged into is read by qemu',
  requires(['qemu-img'], 'that merged files are sound'),
  async () => {
    const parent = join(folder, 'base.vhdx');
    const child = join(folder, 'child.avhdx');
    await createVhdx(parent, { size: SIZE, kind: 'dynamic' });
    const file = await openVhdxWritable(parent);
    await file.write(0, Buffer.alloc(40 * MiB, 0x77));
    await file.close();
    await createDifferencingVhdx(child, { parentPath: parent });
    const above = await openVhdxWritable(child);
    await above.zero(0, SIZE);
    await above.close();
    await writeContent(child);
    await mergeVhdx({ child, parent });
    assertQemuAgrees(parent);
    rmSync(parent);
    rmSync(child);
  },
);

test(
  'libvhdi opens our base and our child and names the right parent',
  requires(['vhdiinfo'], 'that a second library opens our files and locators'),
  async () => {
    const virtualDiskId = newGuid();
    const parent = join(folder, 'base.vhdx');
    const child = join(folder, 'child.avhdx');
    await createVhdx(parent, { size: SIZE, kind: 'fixed', blockSize: 2 * MiB, virtualDiskId });
    await createDifferencingVhdx(child, { parentPath: parent, absolutePath: 'C:\\Disks\\base.vhdx' });
    const parentGuid = await withChain(parent, async (disk) => disk.files[0]!.dataWriteGuid);
    const info = (path: string): string => execFileSync('vhdiinfo', [path], { encoding: 'utf8' });
    assert.match(info(parent), /Disk type\s*: Fixed/);
    assert.match(info(parent), new RegExp(`\\(${SIZE} bytes\\)`));
    assert.match(info(child), /Disk type\s*: Differential/);
    assert.match(info(child), new RegExp(`Parent identifier\\s*: ${parentGuid}`));
    await withChain(child, async (disk) => assert.equal(disk.virtualDiskId, virtualDiskId));
  },
);

test('a disk of 4 KiB sectors keeps them along its chain', async () => {
  const parent = join(folder, 'four.vhdx');
  const child = join(folder, 'four.avhdx');
  await createVhdx(parent, { size: 64 * MiB, kind: 'dynamic', logicalSectorSize: 4 * KiB });
  await createDifferencingVhdx(child, { parentPath: parent });
  await withChain(child, async (disk) => {
    assert.deepEqual(
      [disk.logicalSectorSize, disk.physicalSectorSize, disk.kind],
      [4096, 4096, 'differencing'],
    );
  });
});
