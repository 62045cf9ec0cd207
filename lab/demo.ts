/**
 * `npm run demo`: the main job on an emulated host, with nothing but this project.
 *
 * A VM with a 20 GiB and a 4 GiB disk and about 1 GiB of data; a full backup while the guest writes; three increments, of which
 * one is scattered 64 KiB writes; every restore point restored and compared, byte for byte, with the truth the lab kept at the
 * moment of its checkpoint. Ends non-zero on any difference.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, GiB, KiB, MiB } from '../src/base/index.ts';
import { createHyperVSource } from '../src/capture/index.ts';
import { backupVm, restorePoint, type BackupRecord } from '../src/flows/index.ts';
import { createFsHostFiles } from '../src/hostfile/index.ts';
import { createHyperV } from '../src/hyperv/index.ts';
import { openDirectoryStore } from '../src/objectstore/index.ts';
import { createRepository } from '../src/repository/index.ts';
import { openWinrm } from '../src/winrm/index.ts';
import { INSTANT, LabHost } from './model/index.ts';
import { startWire } from './wire/index.ts';

const CELL = 64 * KiB;
const SCATTERED_WRITES = 400;
const started = performance.now();
const folder = await mkdtemp(join(tmpdir(), 'hvlift-demo-'));
const failures: string[] = [];

try {
  await demo();
} finally {
  await rm(folder, { recursive: true, force: true });
}
say(`\n${((performance.now() - started) / 1000).toFixed(0)} s in all.`);
for (const failure of failures) say(`FAILED: ${failure}`);
if (failures.length > 0) process.exitCode = 1;
else say('Every restore point is the disks at its checkpoint, byte for byte.');

async function demo(): Promise<void> {
  const lab = await LabHost.open(join(folder, 'host'), { settings: INSTANT });
  const account = { user: 'Administrator', password: 'only for this demo' };
  const wire = await startWire({ provider: lab.provider, users: [account] });
  say(`An emulated Hyper-V host answers at ${wire.url} (WS-Management, NTLM, sealed).`);
  const session = await openWinrm({ url: wire.url, credentials: account });
  const files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
  const hyperv = createHyperV(session);
  const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
  const store = await openDirectoryStore(join(folder, 'repository'), { create: true });
  const { repository } = await createRepository(store, { encryption: { passphrase: 'only for this demo' } });

  const vm = await createVm(lab);
  say('\nrun        kind    virtual  allocated       read    changed        new     stored    MB/s');
  const backup = async (name: string): Promise<BackupRecord> => {
    const record = await backupVm({ source, repository, resolveVm: (v, o) => hyperv.vm(v, o) }, { vm });
    for (const disk of record.disks) say(row(name, disk));
    for (const warning of record.warnings) say(`           ${warning}`);
    return record;
  };
  const writer = { seed: 42, writesPerSecond: 50 };
  await lab.startWriter(vm, writer);
  const records = [await backup('full')];
  await lab.stopWriter(vm);
  await lab.guestRun(vm, { seed: 43, writes: 500 });
  records.push(await backup('increment'));
  records.push(await scattered(lab, vm, () => backup('scattered')));
  records.push(await backup('unchanged'));
  await compare(lab, vm, records, async (record) =>
    restorePoint(repository, {
      point: await repository.point(record.pointId),
      folder: join(folder, 'restored'),
      format: 'raw',
    }),
  );
  await files.close();
  await session.close();
  await wire.close();
  await lab.close();
}

async function createVm(lab: LabHost): Promise<string> {
  const data = await fileSystem(20 * GiB);
  const vm = await lab.createVm({
    name: 'sql01',
    disks: [{ size: 20 * GiB, ...(data ? { fromRaw: data } : {}) }, { size: 4 * GiB }],
  });
  if (data) await rm(data);
  const { disks } = await lab.vm(vm.id);
  const random = data ? 192 : 512;
  for (let at = 0; at < random; at += 8) {
    for (const [index, { diskId }] of disks.entries()) {
      if (data && index === 0) continue;
      await lab.guestWrite(vm.id, {
        diskId,
        offset: (at * 5 + 64) * MiB,
        length: 8 * MiB,
        seed: at + index + 1,
      });
    }
  }
  const what = data
    ? 'an ext4 file system with files of this machine, and random data'
    : 'random data (no mke2fs here)';
  say(`VM "sql01": disks of 20 GiB and 4 GiB, filled with ${what}.`);
  return vm.id;
}

/** A sparse image with a real file system, made by mke2fs without mounting anything; undefined where there is none. */
async function fileSystem(size: number): Promise<string | undefined> {
  const path = join(folder, 'data.ext4');
  const from = await bigFolder();
  if (!from) return undefined;
  const environment = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const made = spawnSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', from, path, `${size / KiB}k`], {
    env: environment,
  });
  return made.status === 0 ? path : undefined;
}

/** A folder of real files, several hundred MiB of them but not the whole machine: what mke2fs copies. */
async function bigFolder(): Promise<string | undefined> {
  for (const candidate of ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib']) {
    const bytes = await sizeOf(candidate);
    if (bytes > 200 * MiB && bytes < 3 * GiB) return candidate;
  }
  return undefined;
}

async function sizeOf(path: string): Promise<number> {
  let bytes = 0;
  try {
    for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
    }
  } catch {
    return 0; // not on this system, or not ours to read
  }
  return bytes;
}

/** Scattered 64 KiB writes: what is read, and what is new, must be what changed. */
async function scattered(
  lab: LabHost,
  vm: string,
  backup: () => Promise<BackupRecord>,
): Promise<BackupRecord> {
  const { disks } = await lab.vm(vm);
  for (let n = 0; n < SCATTERED_WRITES; n += 1) {
    const offset = ((n * 797) % 300_000) * CELL;
    await lab.guestWrite(vm, { diskId: disks[0]!.diskId, offset, length: CELL, seed: 10_000 + n });
  }
  const record = await backup();
  const expected = SCATTERED_WRITES * CELL;
  const { readBytes, newBytes } = record.disks[0]!;
  for (const [what, bytes] of [
    ['read', readBytes],
    ['new', newBytes],
  ] as const) {
    say(`           ${what} / changed = ${(bytes / expected).toFixed(3)} (at most 1.05)`);
    if (bytes > 1.05 * expected) failures.push(`${what}: ${bytes} bytes for ${expected} changed`);
  }
  return record;
}

async function compare(
  lab: LabHost,
  vm: string,
  records: readonly BackupRecord[],
  restore: (record: BackupRecord) => ReturnType<typeof restorePoint>,
): Promise<void> {
  say('\nRestoring every point and comparing it with the truth:');
  const seals = await lab.seals(vm);
  for (const [index, record] of records.entries()) {
    const restored = await restore(record);
    for (const disk of restored.disks) {
      const difference = await lab.compareImage(seals[index]!.id, disk.diskId, disk.path);
      const speed = disk.writtenBytes / disk.seconds / 1e6;
      say(
        `  point ${record.pointId}  ${formatBytes(disk.virtualBytes).padStart(6)}  ${formatBytes(disk.writtenBytes).padStart(9)} written` +
          `  ${speed.toFixed(0).padStart(4)} MB/s  ${difference === null ? 'identical' : `DIFFERS at byte ${difference}`}`,
      );
      if (difference !== null)
        failures.push(`point ${record.pointId}, disk ${disk.path}: differs at byte ${difference}`);
      await rm(disk.path);
    }
  }
}

function row(name: string, disk: BackupRecord['disks'][number]): string {
  const sizes = [
    disk.virtualBytes,
    disk.allocatedBytes,
    disk.readBytes,
    disk.changedBytes,
    disk.newBytes,
    disk.storedBytes,
  ];
  const speed = disk.readBytes / disk.seconds / 1e6;
  return `${name.padEnd(10)} ${disk.kind.padEnd(5)} ${sizes.map((bytes) => formatBytes(bytes).padStart(10)).join(' ')} ${speed.toFixed(0).padStart(6)}`;
}

function say(text: string): void {
  console.log(text);
}
