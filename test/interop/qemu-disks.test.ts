/** A VM whose disks were made by QEMU: backed up, changed, backed up again, and every restored image judged by QEMU. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../lab/model/random.ts';
import { KiB, MiB } from '../../src/base/index.ts';
import { requires } from '../requires.ts';
import {
  assertQemuFindsEqual,
  backUp,
  exportTruth,
  openInteropStack,
  qemuImg,
  restore,
  type InteropStack,
} from './restored-image.fixture.ts';

const SHAPES = [
  { name: 'dynamic-1m', size: 33 * MiB, options: 'subformat=dynamic,block_size=1M' },
  { name: 'dynamic-32m', size: 70 * MiB, options: 'subformat=dynamic,block_size=32M' },
  { name: 'fixed-8m', size: 24 * MiB + 512, options: 'subformat=fixed,block_size=8M' },
] as const;
const FORMATS = ['raw', 'vhdx', 'qcow2'] as const;

/** Data at the start, across blocks, and in the last sector; the raw image it was made of stays for the comparison. */
async function makeDisk(folder: string, shape: (typeof SHAPES)[number]): Promise<string> {
  const { name, size, options } = shape;
  const content = Buffer.alloc(size);
  for (const [at, length] of [
    [0, 300 * KiB],
    [MiB - 512, MiB],
    [20 * MiB, 3 * MiB],
    [size - 512, 512],
  ] as const) {
    content.set(new Random(at + size).bytes(length), at);
  }
  const [raw, vhdx] = [join(folder, `${name}.raw`), join(folder, `${name}.vhdx`)];
  await writeFile(raw, content);
  qemuImg('convert', '-f', 'raw', '-O', 'vhdx', '-o', options, raw, vhdx);
  return vhdx;
}

/** Every disk of a point in every format, beside the truth at its checkpoint. */
async function assertRestores(it: InteropStack, pointId: string, sealId: string): Promise<void> {
  for (const format of FORMATS) {
    for (const { diskId, path } of await restore(it, pointId, format)) {
      const truth = join(it.folder, 'truth.raw');
      await exportTruth(it, { sealId, diskId }, truth);
      assertQemuFindsEqual(path, format, truth);
      if (format === 'vhdx') assertLibvhdiReads(path, truth);
      await rm(path);
    }
  }
}

function assertLibvhdiReads(path: string, truth: string): void {
  const info = execFileSync('vhdiinfo', [path], { encoding: 'utf8' });
  assert.match(info, /Disk type\s*: Dynamic/);
  assert.match(info, new RegExp(`\\(${statSync(truth).size} bytes\\)`));
}

test(
  'VHDX files made by qemu-img are served, backed up with changes, and restored as qemu-img and libvhdi expect',
  requires(
    ['qemu-img', 'vhdiinfo'],
    'that disks of other makers survive a backup, by judges of other makers',
  ),
  async () => {
    await using it = await openInteropStack();
    const { lab } = it.stack;
    const files = [];
    for (const shape of SHAPES) files.push(await makeDisk(it.folder, shape));
    const { id, disks } = await lab.createVm({
      name: 'qemu',
      disks: files.map((fromVhdx, index) => ({ fromVhdx, name: SHAPES[index]!.name })),
    });
    for (const [index, { diskId }] of disks.entries()) {
      const imported = join(it.folder, 'truth.raw');
      await exportTruth(it, { sealId: 'now', diskId }, imported);
      assertQemuFindsEqual(join(it.folder, `${SHAPES[index]!.name}.raw`), 'raw', imported);
    }
    const records = [await backUp(it, id)];
    await lab.guestRun(id, { seed: 11, writes: 60, writeBytes: 48 * KiB, trims: 0.3 });
    records.push(await backUp(it, id));
    assert.deepEqual(
      records.map((record) => record.disks.map((disk) => disk.kind).join()),
      ['full,full,full', 'delta,delta,delta'],
    );
    const seals = await lab.seals(id);
    for (const [index, { pointId }] of records.entries()) await assertRestores(it, pointId, seals[index]!.id);
  },
);

test(
  'of a VM on disks of qemu-img the first backup holds the very bytes qemu-img was given',
  requires(['qemu-img'], 'that nothing is lost between the file of another maker and our restore'),
  async () => {
    await using it = await openInteropStack();
    const [shape] = SHAPES;
    const fromVhdx = await makeDisk(it.folder, shape);
    const { id } = await it.stack.lab.createVm({ name: 'qemu', disks: [{ fromVhdx }] });
    const { pointId } = await backUp(it, id);
    for (const format of FORMATS) {
      const [disk] = await restore(it, pointId, format);
      assertQemuFindsEqual(disk!.path, format, join(it.folder, `${shape.name}.raw`));
    }
  },
);
