/**
 * The suite every way to a host's files must pass. A driver's test gives it a folder of the host it can put files into.
 *
 *   hostFilesConformance('fs', { folder: 'C:\\VMs', place: (path, content) => ..., open: async () => createFsHostFiles(...) });
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, rename, truncate } from 'node:fs/promises';
import { test } from 'node:test';
import { GiB, hasCode, MiB, TiB } from '../base/index.ts';
import { rangeReaderConformance } from '../disk/conformance.ts';
import type { RangeReader } from '../disk/index.ts';
import type { HostFiles } from './port.ts';

export interface HostFilesHarness {
  /** An existing folder of the host, without a final backslash. */
  readonly folder: string;
  /** Makes `folder\...names` hold `content`; folders in between are made too. */
  place(names: readonly string[], content: Uint8Array): Promise<void>;
  /** Where that file lies on this machine: what happens to files while they are read is done to it there. */
  where(names: readonly string[]): string;
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

  test(`${driver}: 200 ranges at once, drawn anywhere, have the bytes of the file`, () =>
    withFiles(async (files) => {
      const content = randomBytes(5 * MiB + 321);
      await harness.place(['two hundred'], content);
      const reader = await files.open(pathOf('two hundred'));
      const ranges = Array.from({ length: 200 }, (_, i) => {
        const offset = (i * 7_368_787) % content.length;
        return {
          offset,
          into: Buffer.alloc(Math.min(1 + ((i * 65_537) % 300_000), content.length - offset)),
        };
      });
      await Promise.all(ranges.map(({ offset, into }) => reader.read(offset, into)));
      for (const { offset, into } of ranges) {
        assert.ok(into.equals(content.subarray(offset, offset + into.length)), `bytes at ${offset}`);
      }
    }));

  test(`${driver}: a sparse file of 2 TiB is read beyond 4 GiB and at its end`, () =>
    withFiles(async (files) => {
      await harness.place(['sparse'], new Uint8Array(0));
      const marks = [0, 2 * GiB - 3, 4 * GiB - 3, 4 * GiB + 70_001, TiB + 5];
      await makeSparse(harness.where(['sparse']), marks, 2 * TiB);
      const reader = await files.open(pathOf('sparse'));
      assert.equal(reader.size, 2 * TiB);
      for (const offset of marks) {
        const into = Buffer.alloc(markAt(offset).length);
        await reader.read(offset, into);
        assert.equal(into.toString(), markAt(offset));
      }
      const end = Buffer.alloc(4096, 1);
      await reader.read(2 * TiB - 4096, end);
      assert.ok(end.every((byte) => byte === 0));
    }));

  test(`${driver}: a file that another one replaces while it is open is read on as it was`, () =>
    withFiles(async (files) => {
      const [before, after] = [randomBytes(200_000), randomBytes(200_000)];
      await harness.place(['replaced'], before);
      await harness.place(['successor'], after);
      const reader = await files.open(pathOf('replaced'));
      await rename(harness.where(['successor']), harness.where(['replaced']));
      assert.ok((await readAll(reader)).equals(before), 'the file that was opened');
      assert.ok(
        (await readAll(await files.open(pathOf('replaced')))).equals(after),
        'opened anew, the new one',
      );
    }));

  test(`${driver}: a file that shrinks while it is open is said to be cut`, () =>
    withFiles(async (files) => {
      await harness.place(['shrinks'], randomBytes(400_000));
      const reader = await files.open(pathOf('shrinks'));
      await truncate(harness.where(['shrinks']), 300_000);
      await rejects(reader.read(0, new Uint8Array(400_000)), 'DISK_TRUNCATED');
    }));

  test(`${driver}: a read cancelled under way harms no other, and touches its buffer no more`, () =>
    withFiles(async (files) => {
      const content = randomBytes(8 * MiB);
      await harness.place(['cancelled'], content);
      const reader = await files.open(pathOf('cancelled'));
      const controller = new AbortController();
      const into = Buffer.alloc(content.length);
      const cancelled = reader.read(0, into, { signal: controller.signal });
      const going = readAll(await files.open(pathOf('cancelled')));
      controller.abort(new Error('enough'));
      // A local read that the system has begun may end before the signal is looked at.
      const outcome = await cancelled.then(
        () => 'whole',
        (error: Error) => error.message,
      );
      assert.ok(outcome === 'enough' || (outcome === 'whole' && into.equals(content)), outcome);
      const atTheEnd = Buffer.from(into);
      assert.ok((await going).equals(content));
      assert.ok(atTheEnd.equals(into), 'the buffer belongs to the caller again');
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

const markAt = (offset: number): string => `mark at ${offset}`;

async function makeSparse(path: string, marks: readonly number[], size: number): Promise<void> {
  const file = await open(path, 'r+');
  for (const offset of marks) await file.write(markAt(offset), offset);
  await file.truncate(size);
  await file.close();
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
