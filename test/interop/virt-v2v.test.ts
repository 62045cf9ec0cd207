/**
 * OVA packages before virt-v2v, and the domain of a clone before virt-v2v-in-place: what machine does it see? Installed, its Debian
 * package would bring 80 others and replace perl and systemd of the machine; to look at a machine it needs none of them, so it is
 * unpacked into a folder of the test. What it makes of a guest needs them, and is not tried.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { KiB, MiB } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { checkConversion, convertClone } from '../../src/hypervisors/index.ts';
import { tinyMachine, TINY_DISK_BYTES, writeTinyDisk } from '../../src/hypervisors/tiny-guest.fixture.ts';
import { writeOva, type OvfMachine } from '../../src/images/index.ts';
import { cloneDisk, libvirtDomain, type Machine } from '../../src/machines/index.ts';
import { requires } from '../requires.ts';

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'hvlift-v2v-'));
after(() => rm(folder, { recursive: true }));

const UNPROVED = 'our OVA packages and domains are what virt-v2v reads';
const NEEDS = requires(['apt-get', 'dpkg'], UNPROVED);
/** With the libraries that nothing else among scripts/debian-packages.txt brings. */
const PACKAGES = ['virt-v2v', 'libguestfs0', 'libosinfo-1.0-0', 'libsoup-3.0-0', 'libxslt1.1'];
const ROOT = join(folder, 'root');
const PROGRAMS = join(ROOT, 'usr', 'bin');
const ENVIRONMENT = {
  ...process.env,
  LC_ALL: 'C',
  LD_LIBRARY_PATH: join(ROOT, 'usr', 'lib', 'x86_64-linux-gnu'),
};

/** Why it cannot be asked. */
let missing: string | undefined;
before(async () => {
  if (NEEDS.skip === undefined) missing = await unpacked();
});

/** Undefined once it runs; else why it does not, as where no packages can be had. */
async function unpacked(): Promise<string | undefined> {
  try {
    await run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', ...PACKAGES], { cwd: folder });
    const packages = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    for (const name of packages) await run('dpkg', ['-x', join(folder, name), ROOT]);
    await run(join(PROGRAMS, 'virt-v2v'), ['--version'], { env: ENVIRONMENT });
    return undefined;
  } catch (error) {
    return `virt-v2v cannot be unpacked here: ${(error as Error).message}; not proved: ${UNPROVED}`;
  }
}

async function diskOf(size: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  await disk.write(MiB, Buffer.alloc(100 * KiB, 7));
  return disk;
}

/** What `--print-source` says, a value a line: `nr vCPUs: 4`. */
async function told(program: string, ...input: readonly string[]): Promise<string> {
  const { stdout } = await run(join(PROGRAMS, program), [...input, '--print-source'], { env: ENVIRONMENT });
  return stdout;
}

async function sourceOf(machine: OvfMachine, name: string): Promise<string> {
  const path = join(folder, name);
  const disks = [
    { disk: await diskOf(40 * MiB), bus: 'ide' as const },
    { disk: await diskOf(33 * MiB), bus: 'scsi' as const },
  ];
  await writeOva(path, { machine, disks }, {});
  return told('virt-v2v', '-i', 'ova', '-o', 'null', path);
}

const MACHINE: OvfMachine = {
  name: 'web <01> & "more"',
  firmware: 'efi',
  secureBoot: true,
  processors: 4,
  memoryMiB: 6144,
  networkAdapters: [{ name: 'LAN', macAddress: '00155D0A0B0C' }, { name: 'DMZ' }],
  notes: ['the virtual TPM stays behind'],
};

test(
  'virt-v2v finds in a package the machine that was put in: name, firmware, memory, processors, disks, adapters',
  NEEDS,
  async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const efi = await sourceOf(MACHINE, 'efi.ova');
    for (const line of [
      /source name: web <01> & "more"\n/,
      /memory: 6442450944 \(bytes\)/,
      /nr vCPUs: 4\n/,
      /firmware: uefi\n/,
      /disks:\n\t0 \[ide\]\n\t1 \[scsi\]\n/,
      /mac: 00:15:5d:0a:0b:0c \[e1000e\]\n.*\[e1000e\]\n/,
    ])
      assert.match(efi, line);
    const bios = await sourceOf({ ...MACHINE, firmware: 'bios', secureBoot: false }, 'bios.ova');
    assert.match(bios, /firmware: bios\n/);
  },
);

/** Of one disk, over an image that nothing may write to. */
async function cloned(): Promise<Machine> {
  const disk = join(folder, 'disk.raw');
  await writeTinyDisk(disk);
  const below = { kind: 'file', path: disk, format: 'raw' } as const;
  const source = await cloneDisk({ source: below, size: TINY_DISK_BYTES }, join(folder, 'clone.qcow2'));
  const machine = tinyMachine(disk, { name: 'web01', processors: 2 });
  return { ...machine, disks: [{ ...machine.disks[0]!, bus: 'virtio-scsi', source }] };
}

test(
  'virt-v2v-in-place finds the clone in the domain that it is given, and its version is new enough',
  NEEDS,
  async (t) => {
    if (missing !== undefined) return t.skip(missing);
    const machine = await cloned();
    const path = join(folder, 'domain.xml');
    await writeFile(path, libvirtDomain(machine, { accelerator: 'tcg' }));
    const source = await told('virt-v2v-in-place', '-i', 'libvirtxml', path);
    for (const line of [
      /source name: web01\n/,
      /nr vCPUs: 2\n/,
      /memory: 33554432 \(bytes\)/,
      /disks:\n\t0 \[virtio-scsi\]\n/,
    ])
      assert.match(source, line);
    // Its libraries lie in the folder, too; and no appliance that this machine may have is booted.
    const bin = join(folder, 'bin');
    await mkdir(bin);
    const start = `#!/bin/sh\nexport LIBGUESTFS_PATH=/nowhere\nLD_LIBRARY_PATH='${ENVIRONMENT.LD_LIBRARY_PATH}' exec '${join(PROGRAMS, 'virt-v2v-in-place')}' "$@"\n`;
    await writeFile(join(bin, 'virt-v2v-in-place'), start, { mode: 0o755 });
    const before = process.env['PATH'];
    process.env['PATH'] = `${bin}:${before}`;
    try {
      const request = { conversion: 'virt-v2v-in-place', hasWindows: false } as const;
      await checkConversion(request);
      await assert.rejects(convertClone(machine, request), {
        code: 'CONVERSION_FAILED',
        message: /libguestfs/i,
      });
    } finally {
      process.env['PATH'] = before;
    }
  },
);
