/**
 * OVA packages before virt-v2v, which says what machine it sees in one. Installed, its Debian package would bring 80 others and replace
 * perl and systemd of the machine; to look at a package it needs none of them, so it is unpacked into a folder of the test.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { KiB, MiB } from '../../src/base/index.ts';
import { MemoryDisk } from '../../src/disk/index.ts';
import { writeOva, type OvfMachine } from '../../src/images/index.ts';
import { requires } from '../requires.ts';

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'hvlift-v2v-'));
after(() => rm(folder, { recursive: true }));

const UNPROVED = 'our OVA packages are what virt-v2v reads';
const PACKAGES = ['virt-v2v', 'libguestfs0', 'libosinfo-1.0-0', 'libsoup-3.0-0'];
const ROOT = join(folder, 'root');
const PROGRAM = join(ROOT, 'usr', 'bin', 'virt-v2v');
const ENVIRONMENT = {
  ...process.env,
  LC_ALL: 'C',
  LD_LIBRARY_PATH: join(ROOT, 'usr', 'lib', 'x86_64-linux-gnu'),
};

/** Undefined once it runs; else why it does not, as where no packages can be had. */
async function unpacked(): Promise<string | undefined> {
  try {
    await run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', ...PACKAGES], { cwd: folder });
    const packages = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
    for (const name of packages) await run('dpkg', ['-x', join(folder, name), ROOT]);
    await run(PROGRAM, ['--version'], { env: ENVIRONMENT });
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
async function sourceOf(machine: OvfMachine, name: string): Promise<string> {
  const path = join(folder, name);
  const disks = [
    { disk: await diskOf(40 * MiB), bus: 'ide' as const },
    { disk: await diskOf(33 * MiB), bus: 'scsi' as const },
  ];
  await writeOva(path, { machine, disks }, {});
  const { stdout } = await run(PROGRAM, ['-i', 'ova', '-o', 'null', '--print-source', path], {
    env: ENVIRONMENT,
  });
  return stdout;
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
  requires(['apt-get', 'dpkg'], UNPROVED),
  async (t) => {
    const reason = await unpacked();
    if (reason !== undefined) return t.skip(reason);
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
