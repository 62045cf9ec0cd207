/**
 * What runs in the guest: a kernel of Debian with busybox, all of it in memory but the files it writes.
 *
 *   sda1  FAT   boot loaders of BIOS and UEFI, kernel, initial file system
 *   sda2  ext4  f.1, f.2 … and SUMS, the SHA-256 of each: a file is on the disk before its sum is
 *
 * On its first serial port it says `CHECK good N` (all N files have their sums) or `CHECK bad N`, then `GUEST-READY`,
 * `WROTE n` after each file, and `GUEST-OFF` when its power button was pressed and all is written.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const MODULES = [
  // Disks of IDE, SATA, virtio; the file system; the power button.
  'ata_piix', 'ahci', 'sd_mod', 'virtio_pci', 'virtio_scsi', 'crc32c_generic', 'ext4', 'button', 'evdev',
]; // oxfmt-ignore

export interface GuestKernel {
  readonly kernel: string;
  /** In the order in which they can be loaded. */
  readonly modules: readonly string[];
}

/** The newest kernel of Debian's cloud package on this machine; undefined when there is none. */
export function findKernel(boot = '/boot', modules = '/lib/modules'): GuestKernel | undefined {
  const version = existsSync(modules)
    ? readdirSync(modules)
        .filter((name) => name.endsWith('-cloud-amd64'))
        .sort()
        .at(-1)
    : undefined;
  if (version === undefined) return undefined;
  const kernel = join(boot, `vmlinuz-${version}`);
  const folder = join(modules, version);
  return existsSync(kernel) ? { kernel, modules: inLoadingOrder(folder) } : undefined;
}

/** `modules.dep` has a line a module: itself, and what it needs, the last of which is to be loaded first. */
function inLoadingOrder(folder: string): string[] {
  const lines = readFileSync(join(folder, 'modules.dep'), 'utf8').split('\n').filter(Boolean);
  const needs = new Map(
    lines.map((line) => {
      const [path = '', rest = ''] = line.split(':');
      return [basename(path, '.ko'), { path, needed: rest.trim().split(' ').filter(Boolean).toReversed() }];
    }),
  );
  const paths = MODULES.flatMap((name) => {
    const module = needs.get(name);
    return module ? [...module.needed, module.path] : [];
  });
  return [...new Set(paths)].map((path) => join(folder, path));
}

/** `/init` of the initial file system. `modules`: file names in /modules, in order. */
export function initScript(modules: readonly string[]): string {
  return `#!/bin/sh
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
exec > /dev/ttyS0 2>&1
for m in ${modules.join(' ')}; do insmod /modules/$m; done
for i in $(seq 100); do [ -b /dev/sda2 ] && break; usleep 100000; done
mount -t ext4 /dev/sda2 /data || { echo NO-DISK; poweroff -f; }
cd /data
touch SUMS
n=$(wc -l < SUMS)
if [ $n = 0 ] || sha256sum -c -s SUMS; then echo CHECK good $n; else echo CHECK bad $n; fi
for e in /sys/class/input/event*; do
  grep -q 'Power Button' $e/device/name || continue
  (dd if=/dev/input/$(basename $e) bs=24 count=1 of=/dev/null 2> /dev/null; touch /off) &
done
echo GUEST-READY
while [ ! -e /off ]; do
  if [ $n -lt ${FILES_MAX} ]; then
    n=$((n + 1))
    head -c ${FILE_BYTES} /dev/urandom > f.$n && sync && sha256sum f.$n >> SUMS && sync && echo WROTE $n
  fi
  usleep 200000
done
cd /
umount /data && echo GUEST-OFF
poweroff -f
`;
}

/** Together less than the file system has. */
const FILES_MAX = 60;
const FILE_BYTES = 131_072;

export const PROGRAMS = [
  'sh', 'mount', 'umount', 'insmod', 'seq', 'usleep', 'touch', 'wc', 'sha256sum', 'grep', 'basename', 'head', 'dd', 'sync', 'poweroff',
]; // oxfmt-ignore
