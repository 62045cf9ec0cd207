/**
 * The administrator's question: is what comes back a file system, with my files in it? Asked of e2fsck and debugfs, for the
 * restore point before a file changed and the one after, in every format.
 *
 * The guest changes its file system as debugfs does: on a copy of the disk, whose differences are then the guest's writes.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDiskImage } from '../../lab/demo/disk-image.ts';
import { FIRST_PARTITION } from '../../lab/demo/partition-table.ts';
import { PROGRAM_FOLDERS } from '../../lab/demo/programs.ts';
import { Random } from '../../lab/model/random.ts';
import { MiB } from '../../src/base/index.ts';
import { requires } from '../requires.ts';
import { backUp, openInteropStack, qemuImg, restore, type InteropStack } from './restored-image.fixture.ts';

const DISK_BYTES = 96 * MiB;
const BLOCK = 4096;
const KEPT = new Random(1).bytes(3 * MiB + 17);
const BEFORE = Buffer.from('invoice 1\n'.repeat(5000));
const AFTER = Buffer.from('invoice 2, much longer than the first one was\n'.repeat(20_000));

function run(program: string, ...args: string[]): void {
  const env = { ...process.env, PATH: PROGRAM_FOLDERS.join(':') };
  execFileSync(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

const inside = (disk: string): string => `${disk}?offset=${FIRST_PARTITION}`;

async function makeDisk(folder: string): Promise<string> {
  const [files, disk] = [join(folder, 'files'), join(folder, 'disk.raw')];
  await mkdir(files);
  await writeFile(join(files, 'kept.bin'), KEPT);
  await writeFile(join(files, 'invoices.txt'), BEFORE);
  const content = await createDiskImage(disk, files, {
    diskBytes: DISK_BYTES,
    databaseOffset: 64 * MiB,
    fileBytes: 4 * MiB,
    programFolders: PROGRAM_FOLDERS,
  });
  assert.equal(content, 'ext4');
  return disk;
}

/** Replaces a file by debugfs, and writes what that changed on the disk to the VM. */
async function changeAsGuest(it: InteropStack, vm: string, disk: string): Promise<void> {
  const before = await readFile(disk);
  const replacement = join(it.folder, 'replacement');
  await writeFile(replacement, AFTER);
  run('debugfs', '-w', '-R', 'rm /invoices.txt', inside(disk));
  run('debugfs', '-w', '-R', `write ${replacement} invoices.txt`, inside(disk));
  const after = await readFile(disk);
  let writes = 0;
  for (let offset = 0; offset < after.length; offset += BLOCK) {
    const bytes = after.subarray(offset, offset + BLOCK);
    if (bytes.equals(before.subarray(offset, offset + BLOCK))) continue;
    await it.stack.lab.guestWrite(vm, { offset, bytes });
    writes += 1;
  }
  assert.ok(writes >= AFTER.length / BLOCK, `${writes} blocks changed`);
}

async function assertFileSystem(it: InteropStack, raw: string, invoices: Buffer): Promise<void> {
  run('e2fsck', '-f', '-n', inside(raw));
  for (const [name, expected] of [
    ['kept.bin', KEPT],
    ['invoices.txt', invoices],
  ] as const) {
    const copy = join(it.folder, 'copy');
    run('debugfs', '-R', `dump /${name} ${copy}`, inside(raw));
    assert.ok((await readFile(copy)).equals(expected), `${name} in ${raw}`);
  }
}

test(
  'ext4 on a restored disk is clean and its files are those of the moment, before and after a change',
  requires(
    ['mke2fs', 'e2fsck', 'debugfs', 'qemu-img'],
    'that a restored disk is a file system with the right files',
  ),
  async () => {
    await using it = await openInteropStack();
    const disk = await makeDisk(it.folder);
    const { id } = await it.stack.lab.createVm({
      name: 'files',
      disks: [{ size: DISK_BYTES, fromRaw: disk }],
    });
    const first = await backUp(it, id);
    await changeAsGuest(it, id, disk);
    const second = await backUp(it, id);
    assert.equal(second.disks[0]!.kind, 'delta');
    for (const [{ pointId }, invoices] of [
      [first, BEFORE],
      [second, AFTER],
    ] as const) {
      for (const format of ['raw', 'vhdx', 'qcow2'] as const) {
        const [image] = await restore(it, pointId, format);
        const raw = `${image!.path}.as-raw`;
        qemuImg('convert', '-f', format, '-O', 'raw', image!.path, raw);
        await assertFileSystem(it, raw, invoices);
      }
    }
  },
);
