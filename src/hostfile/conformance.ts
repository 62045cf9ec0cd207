/**
 * The suite every way to a host's files must pass. A driver's test gives it a folder of the host it can put files into.
 *
 *   hostFilesConformance('fs', { folder: 'C:\\VMs', place: (path, content) => ..., open: async () => createFsHostFiles(...) });
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { rangeReaderConformance } from '../disk/conformance.ts';
import type { RangeReader } from '../disk/index.ts';
import type { HostFiles } from './port.ts';

export interface HostFilesHarness {
  /** An existing folder of the host, without a final backslash. */
  readonly folder: string;
  /** Makes `folder\...names` hold `content`; folders in between are made too. */
  place(names: readonly string[], content: Uint8Array): Promise<void>;
  open(): Promise<HostFiles>;
}

export function hostFilesConformance(driver: string, harness: HostFilesHarness): void {
  const pathOf = (...names: string[]): string => [harness.folder, ...names].join('\\');
  const withFiles = async (work: (files: HostFiles) => Promise<void>): Promise<void> => {
    const files = await harness.open();
    try {
      await work(files);
    } finally {
      await files.close();
    }
  };

  let placed = 0;
  rangeReaderConformance(`${driver} host file`, async (content) => {
    const name = `range ${(placed += 1)}.vhdx`;
    await harness.place([name], content);
    return (await harness.open()).open(pathOf(name));
  });

  test(`${driver}: opens names with spaces, quotes, per cent, hash, and letters beyond ASCII`, () =>
    withFiles(async (files) => {
      for (const name of ["it's 100% #1 & more.vhdx", 'Prüfung 検証.avhdx', 'a^b{c}[d]$e;f,g.vhdx']) {
        const content = randomBytes(100);
        await harness.place(['deep folder', name], content);
        assert.deepEqual(await readAll(await files.open(pathOf('deep folder', name))), content);
      }
    }));

  test(`${driver}: neither the case of folders and names nor the kind of slash nor a \\\\?\\ prefix matters`, () =>
    withFiles(async (files) => {
      const content = randomBytes(50);
      await harness.place(['Server One', 'Disk.VHDX'], content);
      const plain = pathOf('server ONE', 'dISK.vhdx');
      const long = plain.startsWith('\\\\') ? `\\\\?\\UNC\\${plain.slice(2)}` : `\\\\?\\${plain}`;
      for (const path of [plain, long, plain.replaceAll('\\', '/')]) {
        assert.deepEqual(await readAll(await files.open(path)), content, path);
      }
    }));

  test(`${driver}: many files are open at once`, () =>
    withFiles(async (files) => {
      const contents = Array.from({ length: 20 }, (_, i) => Buffer.alloc(10_000, i));
      await Promise.all(contents.map((content, i) => harness.place([`many ${i}`], content)));
      const readers = await Promise.all(contents.map((_, i) => files.open(pathOf(`many ${i}`))));
      assert.deepEqual(await Promise.all(readers.map((reader) => readAll(reader))), contents);
    }));

  test(`${driver}: a missing file, a missing folder and a folder are told apart from files`, () =>
    withFiles(async (files) => {
      await harness.place(['folder', 'inside'], new Uint8Array(1));
      await rejects(files.open(pathOf('no such file')), 'HOSTFILE_NOT_FOUND');
      await rejects(files.open(pathOf('no such folder', 'file')), 'HOSTFILE_NOT_FOUND');
      await rejects(files.open(pathOf('folder', 'inside', 'below a file')), 'HOSTFILE_NOT_FOUND');
      await rejects(files.open(pathOf('folder')), 'HOSTFILE_NOT_A_FILE');
    }));

  test(`${driver}: paths that climb, are relative, name devices or streams are refused`, () =>
    withFiles(async (files) => {
      await harness.place(['plain'], new Uint8Array(1));
      for (const path of [
        pathOf('folder', '..', 'plain'),
        'plain',
        '..\\plain',
        'C:plain',
        '\\plain',
        '/etc/passwd',
        '\\\\.\\PhysicalDrive0',
        pathOf('plain:stream'),
        pathOf('plain\u0000.vhdx'),
        '',
        'C:\\'.padEnd(40_000, 'a'),
      ]) {
        await rejects(files.open(path), 'HOSTFILE_BAD_PATH');
      }
    }));

  test(`${driver}: closing the way closes its readers and refuses further opens`, async () => {
    await harness.place(['left open'], new Uint8Array(10));
    const files = await harness.open();
    const reader = await files.open(pathOf('left open'));
    await files.close();
    await files.close();
    await rejects(reader.read(0, new Uint8Array(1)), 'DISK_CLOSED');
    await rejects(files.open(pathOf('left open')), 'HOSTFILE_CLOSED');
  });

  test(`${driver}: an aborted signal stops an open`, () =>
    withFiles(async (files) => {
      await harness.place(['wanted no more'], new Uint8Array(10));
      const signal = AbortSignal.abort(new Error('stop'));
      await assert.rejects(files.open(pathOf('wanted no more'), { signal }), /stop/);
    }));
}

async function readAll(reader: RangeReader): Promise<Buffer> {
  const content = Buffer.alloc(reader.size);
  await reader.read(0, content);
  await reader.close();
  return content;
}

function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  return assert.rejects(promise, (error) => hasCode(error, code));
}
