/** The conversion step, with a program in the place of virt-v2v-in-place: what it is told, and what is made of its answers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { cloneDisk } from '../machines/index.ts';
import { checkConversion, convertClone } from './index.ts';
import { TINY_DISK_BYTES, tinyMachine, writeTinyDisk } from './tiny-guest.fixture.ts';

const REQUEST = { conversion: 'virt-v2v-in-place', hasWindows: false } as const;
const path = process.env['PATH'];
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-conversion-'));
});
beforeEach(() => {
  process.env['PATH'] = `${folder}:${path}`;
});
after(async () => {
  process.env['PATH'] = path;
  delete process.env['VIRTIO_WIN'];
  await rm(folder, { recursive: true, force: true });
});

/** A shell script; `convert` runs with the domain in $3. */
async function standIn({ version = 'virt-v2v-in-place 2.2.0', convert = 'true' }): Promise<void> {
  const program = join(folder, 'virt-v2v-in-place');
  await writeFile(
    program,
    `#!/bin/sh\nif [ "$1" = --version ]; then echo '${version}'; exit; fi\n[ "$1 $2" = '-i libvirtxml' ] || exit 9\n${convert}\n`,
  );
  await chmod(program, 0o755);
}

test(
  'the program gets the clone as a domain and changes it; the disk below stays',
  requires(['qemu-io', 'virt-xml-validate', 'xmllint'], 'a conversion works on the clone alone'),
  async () => {
    const disk = join(folder, 'disk.raw');
    await writeTinyDisk(disk);
    const before = await readFile(disk);
    const source = await cloneDisk(
      { source: { kind: 'file', path: disk, format: 'raw' }, size: TINY_DISK_BYTES },
      join(folder, 'clone.qcow2'),
    );
    const machine = tinyMachine(disk);
    const image = '$(sed -n "s/.*<source file=\\"\\(.*\\)\\".*/\\1/p" "$3")';
    await standIn({
      convert: `virt-xml-validate "$3" domain >/dev/null && qemu-io -f qcow2 -c 'write -P 7 65536 65536' "${image}" >/dev/null`,
    });
    await convertClone({ ...machine, disks: [{ ...machine.disks[0]!, source }] }, REQUEST);
    assert.deepEqual(await readFile(disk), before);
    const reads = (pattern: string): number | null =>
      spawnSync('qemu-io', [
        '-r',
        '-f',
        'qcow2',
        '-c',
        `read -P ${pattern} 65536 65536`,
        join(folder, 'clone.qcow2'),
      ]).status;
    assert.equal(reads('7'), 0);
  },
);

test('without the program, with an old one and when it fails, the fault says so', async () => {
  const machine = tinyMachine('/nowhere.raw');
  process.env['PATH'] = '/nowhere';
  await assert.rejects(convertClone(machine, REQUEST), { code: 'CONVERSION_NO_PROGRAM' });
  process.env['PATH'] = `${folder}:${path}`;
  await standIn({ version: 'virt-v2v-in-place 1.44.2' });
  await assert.rejects(convertClone(machine, REQUEST), { code: 'CONVERSION_TOO_OLD', message: /1\.44\.2/ });
  await standIn({ convert: 'echo "virt-v2v-in-place: error: no operating system found" >&2; exit 1' });
  await assert.rejects(convertClone(machine, REQUEST), {
    code: 'CONVERSION_FAILED',
    message: /no operating system found/,
  });
});

test('Windows is not converted without its drivers', async () => {
  await standIn({});
  const windows = { ...REQUEST, hasWindows: true };
  await assert.rejects(checkConversion(windows), { code: 'CONVERSION_NO_DRIVERS' });
  process.env['VIRTIO_WIN'] = join(folder, 'gone.iso');
  await assert.rejects(checkConversion(windows), { code: 'CONVERSION_NO_DRIVERS', message: /gone\.iso/ });
  process.env['VIRTIO_WIN'] = folder;
  await checkConversion(windows);
});

test('a conversion that is cancelled ends the program, and all that it started', async () => {
  const mark = join(folder, 'late');
  await standIn({ convert: `sh -c "sleep 1; touch '${mark}'"` });
  const signal = AbortSignal.timeout(300);
  await assert.rejects(convertClone(tinyMachine('/nowhere.raw'), REQUEST, { signal }), {
    name: 'TimeoutError',
  });
  spawnSync('sleep', ['1.2']);
  await assert.rejects(readFile(mark), { code: 'ENOENT' });
});

test('the two other kinds need no program and do nothing', async () => {
  process.env['PATH'] = '/nowhere';
  for (const conversion of ['none', 'compatible'] as const)
    await convertClone(tinyMachine('/nowhere.raw'), { conversion, hasWindows: true });
});
