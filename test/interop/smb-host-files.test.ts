/** The way to a host's files by SMB passes the suite of the port, against Samba in the place of Windows. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '../../src/base/index.ts';
import { hostFilesConformance } from '../../src/hostfile/conformance.ts';
import { createSmbHostFiles, type FolderMapping, type HostFiles } from '../../src/hostfile/index.ts';
import { requiresSamba, startSamba, type Samba } from './samba.fixture.ts';

const needs = requiresSamba('files of a host read over SMB through the same suite as local ones');

describe('smb host files', needs, () => {
  let samba: Samba;
  before(async () => {
    samba = await startSamba({ shares: { C$: [], vms: [] } });
  });
  after(() => samba[Symbol.asyncDispose]());

  const place = async (share: string, names: readonly string[], content: Uint8Array): Promise<void> => {
    const path = join(samba.folderOf(share), ...names);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  };
  const open = (mappings: readonly FolderMapping[] = []): HostFiles =>
    createSmbHostFiles({ ...samba.target, mappings });

  hostFilesConformance('smb by drive', {
    folder: 'C:\\Virtual Machines',
    place: (names, content) => place('C$', ['Virtual Machines', ...names], content),
    where: (names) => join(samba.folderOf('C$'), 'Virtual Machines', ...names),
    open: async () => open(),
  });
  hostFilesConformance('smb by share', {
    folder: '\\\\127.0.0.1\\vms\\shared',
    place: (names, content) => place('vms', ['shared', ...names], content),
    where: (names) => join(samba.folderOf('vms'), 'shared', ...names),
    open: async () => open(),
  });
  hostFilesConformance('smb by mapping', {
    folder: 'E:\\Deep\\Folder',
    place: (names, content) => place('vms', ['mapped', ...names], content),
    where: (names) => join(samba.folderOf('vms'), 'mapped', ...names),
    open: async () => open([{ from: 'E:\\deep\\folder', to: '\\\\127.0.0.1\\vms\\mapped' }]),
  });

  test('a server that no mapping names, and a volume without a letter, are not tried', async () => {
    await using files = disposable(open());
    for (const path of [
      '\\\\other.example\\vms\\a.vhdx',
      '\\\\?\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\a.vhdx',
    ]) {
      await assert.rejects(files.open(path), (error) => hasCode(error, 'HOSTFILE_NO_SHARE'));
    }
  });

  test('a drive without an administrative share says which share was looked for', async () => {
    await using files = disposable(open());
    await assert.rejects(files.open('Q:\\a.vhdx'), {
      code: 'HOSTFILE_NO_SHARE',
      message: /127\.0\.0\.1 has no share Q\$/,
    });
  });

  test('a mapping to anything but a share is refused at once', () => {
    for (const to of ['C:\\x', '/mnt/x', '\\\\server', '']) {
      assert.throws(() => open([{ from: 'C:\\VMs', to }]), { code: 'HOSTFILE_BAD_MAPPING' });
    }
  });
});

function disposable(files: HostFiles): HostFiles & AsyncDisposable {
  return Object.assign(files, { [Symbol.asyncDispose]: () => files.close() });
}
