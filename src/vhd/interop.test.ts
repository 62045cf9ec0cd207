/** Other software over the same files: qemu both ways, libvhdi over ours. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { GiB, KiB, MiB, newGuid } from '../base/index.ts';
import { beside, buildVhd } from './built-vhd.fixture.ts';
import { createPlacedVhd, createVhd, type CreateVhdOptions } from './create.ts';
import { assertSameBytes, contentOf, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdWritable } from './vhd-file.ts';

const folder = scratchFolder();
const raw = join(folder, 'content.raw');
/** Not a size that cylinders, heads and sectors can say. */
const SIZE = 71 * MiB + 512;
const content = Buffer.alloc(SIZE);

/** Data at the start, across blocks, alone in a block, and in the last, shorter block. */
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
  assert.equal(JSON.parse(qemu('info', '--output=json', '-f', 'vpc', path))['virtual-size'], SIZE);
  qemu('compare', '-f', 'raw', '-F', 'vpc', raw, path);
}

async function placeContent(path: string, options: Omit<CreateVhdOptions, 'size'>): Promise<void> {
  const writer = await createPlacedVhd(path, { ...options, size: SIZE });
  await using handle = await open(writer.path, 'r+');
  for (const { offset, length } of DATA) {
    let done = offset;
    for (const span of await writer.place(offset, length)) {
      await handle.write(content, done, span.length, span.fileOffset);
      done += span.length;
    }
    assert.equal(done, offset + length);
  }
  await writer.finish();
}

for (const shape of [
  { kind: 'fixed' },
  { kind: 'dynamic' },
  { kind: 'dynamic', blockSize: 512 * KiB },
] as const) {
  const title = JSON.stringify(shape);

  test(
    `qemu reads to the last sector what is placed here: ${title}`,
    requires(['qemu-img'], 'that qemu reads placed images'),
    async () => {
      const path = join(folder, 'placed.vhd');
      await placeContent(path, shape);
      assertQemuAgrees(path);
      assertSameBytes(await contentOf(path), content, title);
      rmSync(path);
    },
  );

  test(
    `qemu reads what is written in place here: ${title}`,
    requires(['qemu-img'], 'that qemu reads our files'),
    async () => {
      const path = join(folder, 'ours.vhd');
      await createVhd(path, { ...shape, size: SIZE });
      const file = await openVhdWritable(path);
      for (const { offset, length } of DATA)
        await file.write(offset, content.subarray(offset, offset + length));
      await file.close();
      assertQemuAgrees(path);
      rmSync(path);
    },
  );
}

for (const subformat of ['fixed', 'dynamic']) {
  for (const force of ['on', 'off']) {
    test(
      `what qemu writes is read here: ${subformat}, size forced: ${force}`,
      requires(['qemu-img'], 'that we read files of qemu'),
      async () => {
        const path = join(folder, 'theirs.vhd');
        const options = `subformat=${subformat},force_size=${force}`;
        qemu('convert', '-f', 'raw', '-O', 'vpc', '-o', options, raw, path);
        const size = JSON.parse(qemu('info', '--output=json', '-f', 'vpc', path))['virtual-size'] as number;
        assert.ok(force === 'off' || size === SIZE);
        assertSameBytes(await contentOf(path), Buffer.concat([content], size), options);
        rmSync(path);
      },
    );
  }
}

test(
  'qemu goes on writing in a file of ours, and we go on after it',
  requires(['qemu-img', 'qemu-io'], 'that both may write the same file in turn'),
  async () => {
    const path = join(folder, 'turns.vhd');
    await placeContent(path, { kind: 'dynamic' });
    execFileSync('qemu-io', ['-f', 'vpc', '-c', 'write -P 0x5a 20M 3M', '-c', 'write -P 0x5b 512 512', path]);
    const expected = Buffer.from(content)
      .fill(0x5a, 20 * MiB, 23 * MiB)
      .fill(0x5b, 512, 1024);
    assertSameBytes(await contentOf(path), expected, 'after qemu');
    const file = await openVhdWritable(path);
    await file.write(22 * MiB, content.subarray(0, 2 * MiB));
    await file.write(60 * MiB, content.subarray(0, 2 * MiB));
    await file.zero(0, 4 * MiB);
    await file.close();
    content.copy(expected, 22 * MiB, 0, 2 * MiB);
    content.copy(expected, 60 * MiB, 0, 2 * MiB);
    expected.fill(0, 0, 4 * MiB);
    assertSameBytes(await contentOf(path), expected, 'after us');
    const converted = join(folder, 'turns.raw');
    qemu('convert', '-f', 'vpc', '-O', 'raw', path, converted);
    writeFileSync(`${converted}.expected`, expected);
    qemu('compare', '-f', 'raw', '-F', 'raw', converted, `${converted}.expected`);
    for (const each of [path, converted, `${converted}.expected`]) rmSync(each);
  },
);

test(
  'libvhdi opens our files, and a child built from the specification; it reads the same sizes, identities and parents',
  requires(['vhdiinfo'], 'that a second library opens our files'),
  async () => {
    const info = (path: string): string => execFileSync('vhdiinfo', [path], { encoding: 'utf8' });
    for (const kind of ['fixed', 'dynamic'] as const) {
      const uniqueId = newGuid();
      const path = join(folder, `info-${kind}.vhd`);
      await createVhd(path, { size: 127 * GiB, kind, uniqueId });
      assert.match(info(path), new RegExp(`Disk type\\s*: ${kind}`, 'i'));
      assert.match(info(path), new RegExp(`\\(${127 * GiB} bytes\\)`));
      assert.match(info(path), new RegExp(`Identifier\\s*: ${uniqueId}`));
      await withChain(path, async (disk) => assert.equal(disk.virtualDiskId, uniqueId));
      assert.ok(statSync(path).blocks * 512 < MiB, 'sparse');
    }
    const parentId = newGuid();
    const child = join(folder, 'info-child.avhd');
    buildVhd(join(folder, 'info-base.vhd'), { kind: 'dynamic', size: 4 * MiB, uniqueId: parentId });
    const locators = beside('info-base.vhd');
    buildVhd(child, {
      kind: 'differencing',
      size: 4 * MiB,
      uniqueId: newGuid(),
      parentId,
      locators,
      parentName: 'info-base.vhd',
    });
    assert.match(info(child), /Disk type\s*: Differential/);
    assert.match(info(child), new RegExp(`Parent identifier\\s*: ${parentId}`));
    await withChain(child, async (disk) => assert.equal(disk.virtualDiskId, parentId));
  },
);
