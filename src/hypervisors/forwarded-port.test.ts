/** A port of a guest that is on no network: a Linux that listens on one, silently, and not on another. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { sleep } from '../base/index.ts';
import { qemuArguments } from '../machines/index.ts';
import { ForwardedPort } from './forwarded-port.ts';
import { QemuProcess } from './qemu-process.ts';
import { tinyMachine } from './tiny-guest.fixture.ts';

const KERNEL = 'a kernel of linux-image-cloud-amd64';
const UNPROVED = 'a port of a guest in QEMU is seen to answer';
const version = existsSync('/lib/modules')
  ? readdirSync('/lib/modules').find((name) => existsSync(`/boot/vmlinuz-${name}`) && name.includes('cloud'))
  : undefined;
const withGuest =
  version === undefined
    ? { skip: `${KERNEL} is missing; not proved: ${UNPROVED}` }
    : requires(['qemu-system-x86_64', 'busybox', 'cpio'], UNPROVED);

/** In the order in which they can be loaded. */
const MODULES = [
  'virtio/virtio_ring',
  'virtio/virtio',
  'virtio/virtio_pci_legacy_dev',
  'virtio/virtio_pci_modern_dev',
  'virtio/virtio_pci',
  '../net/core/failover',
  'net/net_failover',
  'net/virtio_net',
];
const INIT = `#!/bin/busybox sh
for m in ${MODULES.map((path) => basename(path)).join(' ')}; do busybox insmod /$m.ko; done
busybox ip addr add 10.0.2.15/24 dev eth0
busybox ip link set eth0 up
while :; do busybox nc -l -p 22 > /out; done
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hvlift-port-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function initrd(): Promise<string> {
  const root = join(folder, 'root');
  await mkdir(join(root, 'bin'), { recursive: true });
  const busybox = spawnSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).stdout.trim();
  await copyFile(busybox, join(root, 'bin', 'busybox'));
  await symlink('bin', join(root, 'sbin'));
  for (const path of MODULES)
    await copyFile(`/lib/modules/${version}/kernel/drivers/${path}.ko`, join(root, `${basename(path)}.ko`));
  await writeFile(join(root, 'init'), INIT, { mode: 0o755 });
  const path = join(folder, 'initrd');
  const pack = 'cd "$1" && find . | cpio -o -H newc --quiet > "$2"';
  assert.equal(spawnSync('sh', ['-c', pack, 'sh', root, path]).status, 0);
  return path;
}

test(
  'a port that is listened on answers though nobody says a word there; another does not',
  withGuest,
  async () => {
    const adapter = (port: number) => ({ model: 'virtio', network: { kind: 'forwarded', port } }) as const;
    const machine = { ...tinyMachine(''), memoryMiB: 160, disks: [], adapters: [adapter(22), adapter(9)] };
    const guest = [
      '-kernel',
      `/boot/vmlinuz-${version}`,
      '-initrd',
      await initrd(),
      '-append',
      'quiet panic=-1',
    ];
    const qemu = new QemuProcess(folder);
    await qemu.start([...qemuArguments(machine, { accelerator: 'tcg', folder }), ...guest]);
    try {
      const ssh = new ForwardedPort(qemu, 22);
      const signal = AbortSignal.timeout(120_000);
      while (!(await ssh.answers({ signal }))) await sleep(200, signal);
      assert.equal(await new ForwardedPort(qemu, 9).answers({ signal }), false);
      assert.equal(await new ForwardedPort(qemu, 80).answers({ signal }), false);
    } finally {
      await qemu.end();
    }
    assert.equal(await new ForwardedPort(qemu, 22).answers(), false);
  },
);
