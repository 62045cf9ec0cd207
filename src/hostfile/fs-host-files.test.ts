import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { hostFilesConformance } from './conformance.ts';
import type { FolderMapping } from './folder-mapping.ts';
import { createFsHostFiles } from './fs-host-files.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-hostfile-'));
after(() => rm(folder, { recursive: true }));

const place = async (path: string, content: string | Uint8Array): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
};

const rejects = (promise: Promise<unknown>, code: string): Promise<void> =>
  assert.rejects(promise, (error) => hasCode(error, code));

for (const [driver, from] of [
  ['fs by drive', 'C:\\Virtual Machines'],
  ['fs by share', '\\\\nas.example\\vms\\hv'],
  ['fs by volume', '\\\\?\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\vms'],
] as const) {
  hostFilesConformance(driver, {
    // A volume path is a \\?\ path already; the drive stands in for the forms the suite derives from it.
    folder: from.startsWith('\\\\?') ? 'D:\\vms' : from,
    place: (names, content) => place(join(driver, ...names), content),
    where: (names) => join(folder, driver, ...names),
    open: async () =>
      createFsHostFiles({
        mappings: [
          { from, to: join(folder, driver) },
          { from: 'D:\\vms', to: join(folder, driver) },
        ],
      }),
  });
}

/** The first bytes of the file each path leads to; contents name the mapping they came from. */
async function contentAt(mappings: readonly FolderMapping[], path: string): Promise<string> {
  const files = createFsHostFiles({ mappings });
  const reader = await files.open(path);
  const bytes = new Uint8Array(reader.size);
  await reader.read(0, bytes);
  await files.close();
  return Buffer.from(bytes).toString();
}

test('the longest mapping wins, whole names count, and case does not', async () => {
  for (const way of ['c', 'csv', 'vol1']) {
    await place(`longest/${way}/ClusterStorage/Volume1/a.vhdx`, `${way} full`);
    await place(`longest/${way}/Volume1/a.vhdx`, `${way} csv`);
    await place(`longest/${way}/a.vhdx`, `${way} vol1`);
    await place(`longest/${way}/Volume10/a.vhdx`, `${way} vol10`);
  }
  const mappings = [
    { from: 'C:\\', to: join(folder, 'longest/c') },
    { from: 'c:\\clusterSTORAGE\\', to: join(folder, 'longest/csv') },
    { from: 'C:/ClusterStorage/Volume1', to: join(folder, 'longest/vol1') },
  ];
  assert.equal(await contentAt(mappings, 'C:\\ClusterStorage\\VOLUME1\\a.vhdx'), 'vol1 vol1');
  assert.equal(await contentAt(mappings, 'C:\\ClusterStorage\\Volume10\\a.vhdx'), 'csv vol10');
  assert.equal(await contentAt(mappings, 'C:\\Volume1\\a.vhdx'), 'c csv');
  const volume = '\\\\?\\Volume{01234567-89AB-CDEF-0123-456789ABCDEF}\\';
  const byVolume = [{ from: volume.toLowerCase(), to: join(folder, 'longest/c') }];
  assert.equal(await contentAt(byVolume, `${volume}A.VHDX`), 'c vol1');
});

test('a path that no mapping covers names the setting to change', async () => {
  const files = createFsHostFiles({ mappings: [{ from: 'C:\\VM', to: folder }] });
  for (const path of ['C:\\VMs\\a.vhdx', 'D:\\VM\\a.vhdx', '\\\\nas\\VM\\a.vhdx']) {
    await assert.rejects(
      files.open(path),
      (error) => hasCode(error, 'HOSTFILE_NO_MAPPING') && error.remedy.includes('files.mappings'),
    );
  }
});

test('mappings that cannot be used are refused before anything is opened', () => {
  const refused = (mappings: FolderMapping[]): void =>
    assert.throws(() => createFsHostFiles({ mappings }), { code: 'HOSTFILE_BAD_MAPPING' });
  refused([{ from: 'VMs', to: folder }]);
  refused([{ from: 'C:\\VMs\\..\\x', to: folder }]);
  refused([{ from: 'C:\\VMs', to: ' ' }]);
  refused([
    { from: 'C:\\VMs', to: folder },
    { from: 'c:/vms/', to: join(folder, 'x') },
  ]);
});

test('the exact name wins over one that differs in case; two that differ are refused', async () => {
  await place('case/Disk.vhdx', 'upper');
  await place('case/disk.vhdx', 'lower');
  const mappings = [{ from: 'C:\\v', to: join(folder, 'case') }];
  assert.equal(await contentAt(mappings, 'C:\\v\\disk.vhdx'), 'lower');
  assert.equal(await contentAt(mappings, 'C:\\v\\Disk.vhdx'), 'upper');
  await rejects(contentAt(mappings, 'C:\\v\\DISK.vhdx'), 'HOSTFILE_AMBIGUOUS');
});

test('names of different length never count as equal', async () => {
  await place('sharp/STRASSE.vhdx', 'ss');
  const mappings = [{ from: 'C:\\v', to: join(folder, 'sharp') }];
  await rejects(contentAt(mappings, 'C:\\v\\straße.vhdx'), 'HOSTFILE_NOT_FOUND');
});

test('a link inside the mapped folder is followed, one that leads out of it is refused', async () => {
  await place('links/real/disk.vhdx', 'inside');
  await place('outside/secret', 'secret');
  await symlink('real', join(folder, 'links/alias'));
  await symlink('../outside', join(folder, 'links/out'));
  await symlink(join(folder, 'outside/secret'), join(folder, 'links/real/disk2.vhdx'));
  await symlink('nowhere', join(folder, 'links/dangling'));
  const mappings = [{ from: 'C:\\v', to: join(folder, 'links') }];
  assert.equal(await contentAt(mappings, 'C:\\v\\alias\\disk.vhdx'), 'inside');
  await rejects(contentAt(mappings, 'C:\\v\\out\\secret'), 'HOSTFILE_ESCAPED');
  await rejects(contentAt(mappings, 'C:\\v\\OUT\\SECRET'), 'HOSTFILE_ESCAPED');
  await rejects(contentAt(mappings, 'C:\\v\\real\\disk2.vhdx'), 'HOSTFILE_ESCAPED');
  await rejects(contentAt(mappings, 'C:\\v\\dangling'), 'HOSTFILE_NOT_FOUND');
});

test('a named pipe in place of a disk is refused instead of waited for', async () => {
  await mkdir(join(folder, 'pipe'));
  execFileSync('mkfifo', [join(folder, 'pipe', 'disk.vhdx')]);
  const mappings = [{ from: 'C:\\v', to: join(folder, 'pipe') }];
  await rejects(contentAt(mappings, 'C:\\v\\disk.vhdx'), 'HOSTFILE_NOT_A_FILE');
});

test('a share that is not mounted is reported with the folder that was looked at', async () => {
  const to = join(folder, 'not mounted');
  await assert.rejects(
    contentAt([{ from: 'C:\\v', to }], 'C:\\v\\disk.vhdx'),
    (error) => hasCode(error, 'HOSTFILE_NOT_FOUND') && error.message.includes(to),
  );
});

test('a file this account may not read says so', async () => {
  await place('rights/disk.vhdx', 'secret');
  await chmod(folder, 0o755);
  await chmod(join(folder, 'rights/disk.vhdx'), 0o000);
  const isRoot = process.getuid!() === 0;
  if (isRoot) process.seteuid!('nobody'); // root may read everything
  try {
    await rejects(
      contentAt([{ from: 'C:\\v', to: join(folder, 'rights') }], 'C:\\v\\disk.vhdx'),
      'HOSTFILE_NO_ACCESS',
    );
  } finally {
    if (isRoot) process.seteuid!(0);
  }
});
