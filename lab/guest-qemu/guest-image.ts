/** The disks of a guest, made of Debian's packages: it starts by BIOS and by UEFI, from any bus. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { MiB } from '../../src/base/index.ts';
import { agentScript, findKernel, initScript, PROGRAMS, type GuestKernel } from './guest-files.ts';

const exec = promisify(execFile);

/** What it is made with, beside the kernel and GRUB. */
export const GUEST_PROGRAMS = ['busybox', 'cpio', 'mke2fs', 'mformat', 'mcopy', 'grub-mkimage', 'sfdisk'];

const SECTOR = 512;
const BOOT = { first: MiB / SECTOR, sectors: (32 * MiB) / SECTOR };
const FILES = { first: BOOT.first + BOOT.sectors, sectors: (31 * MiB) / SECTOR };
const DISK_BYTES = 64 * MiB;
/** Of the second disk, which has nothing else. */
const MORE_FILES = { first: MiB / SECTOR, sectors: (31 * MiB) / SECTOR };
const SECOND_DISK_BYTES = 32 * MiB;
const GRUB = '/usr/lib/grub';
/** What an emulated processor need not spend a fifth of its start on. */
const QUICK = 'nokaslr nopti mitigations=off cryptomgr.notests no_timer_check tsc=reliable';
/** Read by both loaders, which are otherwise told nothing. */
const GRUB_SCRIPT = `search --file /vmlinuz --set=root
linux /vmlinuz console=ttyS0 quiet panic=5 ${QUICK}
initrd /initrd
boot
`;
const GRUB_MODULES = ['part_msdos', 'fat', 'search', 'search_fs_file', 'linux', 'boot'];

/** Writes one raw image, or two. Takes about two seconds. */
export async function makeGuestImages(system: string, more?: string): Promise<void> {
  const kernel = findKernel();
  if (!kernel) throw new Error('there is no kernel of linux-image-cloud-amd64 on this machine');
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-guest-'));
  try {
    await writeInitrd(folder, kernel, more === undefined ? 1 : 2);
    await copyFile(kernel.kernel, join(folder, 'vmlinuz'));
    await writeFile(join(folder, 'grub.cfg'), GRUB_SCRIPT);
    await makeLoader(folder, 'x86_64-efi', 'BOOTX64.EFI', []);
    await makeLoader(folder, 'i386-pc', 'core.img', ['biosdisk']);
    await writeSystemDisk(system, folder);
    if (more !== undefined) await writeSecondDisk(more);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeInitrd(folder: string, { modules }: GuestKernel, disks: number): Promise<void> {
  const root = join(folder, 'root');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'modules'])
    await mkdir(join(root, name), { recursive: true });
  await copyFile(await busybox(), join(root, 'bin', 'busybox'));
  for (const name of PROGRAMS) await symlink('busybox', join(root, 'bin', name));
  for (const module of modules) await copyFile(module, join(root, 'modules', basename(module)));
  const script = initScript(
    modules.map((module) => basename(module)),
    disks,
  );
  await writeFile(join(root, 'init'), script, { mode: 0o755 });
  await writeFile(join(root, 'agent'), agentScript(disks), { mode: 0o755 });
  await exec('sh', [
    '-c',
    'cd "$1" && find . | cpio -o -H newc --quiet | gzip -1 > "$2"',
    'sh',
    root,
    join(folder, 'initrd'),
  ]);
}

async function busybox(): Promise<string> {
  return (await exec('sh', ['-c', 'command -v busybox'])).stdout.trim();
}

async function makeLoader(
  folder: string,
  format: string,
  name: string,
  modules: readonly string[],
): Promise<void> {
  await exec('grub-mkimage', [
    '-O', format, '-d', join(GRUB, format), '-c', join(folder, 'grub.cfg'), '-p', '/', '-o', join(folder, name),
    ...GRUB_MODULES, ...modules,
  ]); // oxfmt-ignore
}

async function writeSystemDisk(path: string, folder: string): Promise<void> {
  await using disk = await open(path, 'w+');
  await disk.truncate(DISK_BYTES);
  const boot = `1: start=${BOOT.first}, size=${BOOT.sectors}, type=ef, bootable`;
  await partition(path, `${boot}\n2: start=${FILES.first}, size=${FILES.sectors}, type=83\n`);
  await writeBootFiles(path, folder);
  await makeFileSystem(path, FILES);
  await writeBiosLoader(disk, folder);
}

async function writeSecondDisk(path: string): Promise<void> {
  await using disk = await open(path, 'w+');
  await disk.truncate(SECOND_DISK_BYTES);
  await partition(path, `3: start=${MORE_FILES.first}, size=${MORE_FILES.sectors}, type=83\n`);
  await makeFileSystem(path, MORE_FILES);
}

async function partition(path: string, table: string): Promise<void> {
  await exec('sh', ['-c', 'printf "$2" | sfdisk -q "$1"', 'sh', path, `label: dos\n${table}`]);
}

async function makeFileSystem(path: string, { first, sectors }: typeof FILES): Promise<void> {
  const offset = first * SECTOR;
  await exec('mke2fs', [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-E',
    `offset=${offset}`,
    path,
    `${(sectors * SECTOR) / 1024}k`,
  ]);
}

async function writeBootFiles(path: string, folder: string): Promise<void> {
  const image = `${path}@@${BOOT.first * SECTOR}`;
  const files = ['vmlinuz', 'initrd'].map((name) => join(folder, name));
  await exec('mformat', ['-i', image, '-T', String(BOOT.sectors), '::']);
  await exec('mmd', ['-i', image, '::/EFI', '::/EFI/BOOT']);
  await exec('mcopy', ['-i', image, ...files, '::/']);
  await exec('mcopy', ['-i', image, join(folder, 'BOOTX64.EFI'), '::/EFI/BOOT/']);
}

/**
 * GRUB for BIOS without its installer, which wants a disk the system knows: its first sector in front of the partition table, the
 * rest of it in the gap behind. The first sector is told where the second is, and that where the others are.
 */
async function writeBiosLoader(disk: Awaited<ReturnType<typeof open>>, folder: string): Promise<void> {
  const boot = await readFile(join(GRUB, 'i386-pc', 'boot.img'));
  const core = await readFile(join(folder, 'core.img'));
  const sectors = Math.ceil(core.length / SECTOR);
  if (sectors >= BOOT.first) throw new Error('the boot loader does not fit before the first partition');
  boot.writeBigUInt64LE(1n, KERNEL_SECTOR);
  // Two no-operations: the drive is the one that the BIOS says.
  boot.writeUInt16LE(0x90_90, DRIVE_CHECK);
  core.writeBigUInt64LE(2n, BLOCK_LIST);
  core.writeUInt16LE(sectors - 1, BLOCK_LIST + 8);
  core.writeUInt16LE(LOAD_SEGMENT, BLOCK_LIST + 10);
  await disk.write(boot.subarray(0, TABLE), 0, TABLE, 0);
  await disk.write(core, 0, core.length, SECTOR);
}

/** In boot.img. */
const KERNEL_SECTOR = 0x5c;
const DRIVE_CHECK = 0x66;
/** Where Windows' disk signature and the partition table begin. */
const TABLE = 440;
/** In the first sector of core.img: where the others are, how many, and where to in memory. */
const BLOCK_LIST = 500;
const LOAD_SEGMENT = 0x8_20;
