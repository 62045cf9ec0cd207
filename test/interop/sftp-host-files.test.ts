/** The way to a host's files by SFTP passes the suite of the port, against OpenSSH on Linux in the place of Windows. */
import assert from 'node:assert/strict';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasCode } from '../../src/base/index.ts';
import { hostFilesConformance } from '../../src/hostfile/conformance.ts';
import { createSftpHostFiles, type FolderMapping, type HostFiles } from '../../src/hostfile/index.ts';
import { requiresSshd, startSshd, type Sshd } from './sshd.fixture.ts';

const needs = requiresSshd('files of a host read over SFTP through the same suite as local ones');

describe('sftp host files', needs, () => {
  let sshd: Sshd;
  before(async () => {
    sshd = await startSshd();
  });
  after(() => sshd[Symbol.asyncDispose]());

  const place = async (folder: string, names: readonly string[], content: Uint8Array): Promise<string> => {
    const path = sshd.pathOf([folder, ...names].join('/'));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    return path;
  };
  const opened: HostFiles[] = [];
  const open = (mappings: readonly FolderMapping[] = []): HostFiles => {
    const files = createSftpHostFiles({ ...sshd.target, mappings });
    opened.push(files);
    return files;
  };
  after(() => Promise.all(opened.map((files) => files.close())));

  hostFilesConformance('sftp by drive', {
    folder: 'C:\\Virtual Machines',
    place: async (names, content) => void (await place('/C:/Virtual Machines', names, content)),
    where: (names) => sshd.pathOf(['/C:/Virtual Machines', ...names].join('/')),
    open: async () => open(),
  });
  hostFilesConformance('sftp by mapping', {
    folder: '\\\\nas.example\\vms\\deep',
    place: async (names, content) => void (await place('/srv/mapped', names, content)),
    where: (names) => sshd.pathOf(['/srv/mapped', ...names].join('/')),
    open: async () => open([{ from: '\\\\nas.example\\vms\\deep', to: '/srv/mapped/' }]),
  });

  test('a server that no mapping names, and a volume without a letter, are not tried', async () => {
    const files = open();
    for (const path of [
      '\\\\other.example\\vms\\a.vhdx',
      '\\\\?\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\a.vhdx',
    ]) {
      await assert.rejects(files.open(path), (error) => hasCode(error, 'HOSTFILE_NO_MAPPING'));
    }
  });

  test('two names that differ only in case are refused, unless one is written exactly so', async () => {
    await place('/C:/case', ['Disk.vhdx'], Buffer.from('upper'));
    await place('/C:/case', ['disk.vhdx'], Buffer.from('low'));
    const files = open();
    assert.equal((await files.open('C:\\case\\disk.vhdx')).size, 3);
    assert.equal((await files.open('C:\\case\\Disk.vhdx')).size, 5);
    await assert.rejects(files.open('C:\\case\\DISK.vhdx'), (error) => hasCode(error, 'HOSTFILE_AMBIGUOUS'));
  });

  test('a file the account may not read says so', async () => {
    await chmod(await place('/C:/rights', ['secret.vhdx'], Buffer.from('x')), 0o600);
    await assert.rejects(open().open('C:\\rights\\secret.vhdx'), {
      code: 'HOSTFILE_NO_ACCESS_OR_HELD',
      message: /\/C:\/rights\/secret\.vhdx/,
    });
  });

  test('a mapping to anything but a path as SFTP writes it is refused at once', () => {
    for (const to of ['C:\\x', 'srv/x', '/srv/../etc', '']) {
      assert.throws(() => open([{ from: 'C:\\VMs', to }]), { code: 'HOSTFILE_BAD_MAPPING' });
    }
  });
});
