/**
 * What runs in the guest: a kernel of Debian with busybox, all of it in memory but the files it writes.
 *
 *   first disk   1  FAT   boot loaders of BIOS and UEFI, kernel, initial file system
 *                2  ext4  files
 *   second disk  3  ext4  files, in turn with the first
 *
 * The number of a partition says what it is, whatever the kernel calls its disk. File n is f.n on one of them, with its SHA-256 in SUMS beside it: a
 * file is on the disk before its sum is, and its sum before the next file begins.
 *
 * On its first serial port it says `CHECK good N bad M`: what it finds of the files of earlier starts; then `GUEST-READY`, `WROTE n`
 * after each file, and `GUEST-OFF` when its power button was pressed and all is written. It freezes its file systems when it is asked on
 * the port of qemu-guest-agent.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const MODULES = [
  // Disks of IDE, SATA, virtio; the file system; the power button; the port of the agent.
  'ata_piix', 'ahci', 'sd_mod', 'virtio_pci', 'virtio_scsi', 'crc32c_generic', 'ext4', 'button', 'evdev', 'virtio_console',
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

/** Where the file systems with its files are mounted, and the number of the partition each is on. */
const DATA_PARTITIONS = [
  { folder: '/first', partition: 2 },
  { folder: '/second', partition: 3 },
];

/** `/init` of the initial file system. `modules`: file names in /modules, in order. */
export function initScript(modules: readonly string[], disks: number): string {
  const data = DATA_PARTITIONS.slice(0, disks);
  const folders = data.map(({ folder }) => folder).join(' ');
  return `#!/bin/sh
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
exec > /dev/ttyS0 2>&1
for m in ${modules.join(' ')}; do insmod /modules/$m; done
${data.map(({ folder, partition }) => mountOf(folder, partition)).join('\n')}
(while :; do
  for p in /dev/vport*; do [ -c $p ] && /agent <> $p >&0; done
  sleep 1
done) 2> /dev/null &
for e in /sys/class/input/event*; do
  grep -q 'Power Button' $e/device/name || continue
  (dd if=/dev/input/$(basename $e) bs=24 count=1 of=/dev/null 2> /dev/null; touch /off) &
done
n=0; bad=0
for d in ${folders}; do
  touch $d/SUMS
  n=$((n + $(wc -l < $d/SUMS)))
  bad=$((bad + $(cd $d; sha256sum -c SUMS 2> /dev/null | grep -vc ': OK$')))
done
echo CHECK good $((n - bad)) bad $bad
echo GUEST-READY
while [ ! -e /off ]; do
  for d in ${folders}; do
    [ $n -lt ${FILES_MAX} ] || break
    n=$((n + 1))
    cd $d
    head -c ${FILE_BYTES} /dev/urandom > f.$n && sync f.$n && sha256sum f.$n >> SUMS && sync SUMS && echo WROTE $n
  done
  cd /
  usleep 200000
done
umount ${folders} && echo GUEST-OFF
poweroff -f
`;
}

function mountOf(folder: string, partition: number): string {
  return `for i in $(seq 100); do set -- /dev/sd?${partition}; [ -b $1 ] && break; usleep 100000; done
mkdir ${folder}
mount -t ext4 $1 ${folder} || { echo NO-DISK ${partition}; poweroff -f; }`;
}

/** What of qemu-guest-agent the lab uses. The id is the last of an order; it reads and writes nothing that may be frozen. */
export function agentScript(disks: number): string {
  const folders = DATA_PARTITIONS.slice(0, disks).map(({ folder }) => folder);
  const freeze = folders.map((folder) => `fsfreeze --freeze ${folder}`).join(' && ');
  const thaw = folders.map((folder) => `fsfreeze --unfreeze ${folder}`).join('; ');
  return `#!/bin/sh
while read -r order; do
  id=\${order##*:}
  case $order in
    *fsfreeze-freeze*) ${freeze} ;;
    *fsfreeze-thaw*) ${thaw} ;;
    *) false ;;
  esac && answer='"return": ${disks}' || answer='"error": {"desc": "failed"}'
  echo "{$answer, \\"id\\": \${id%?}}"
done
`;
}

/** Together less than the file systems have. */
const FILES_MAX = 400;
const FILE_BYTES = 65_536;

export const PROGRAMS = [
  'sh', 'mount', 'umount', 'insmod', 'seq', 'usleep', 'touch', 'wc', 'sha256sum', 'grep', 'basename', 'head', 'dd', 'sync', 'poweroff',
  'mkdir', 'sleep', 'fsfreeze',
]; // oxfmt-ignore
