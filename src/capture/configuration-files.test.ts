import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../disk/index.ts';
import { hostFileFaults, type HostFiles } from '../hostfile/index.ts';
import { readConfigurationFiles } from './configuration-files.ts';

const GUID = '6B1F3F0E-58A1-4D5E-9A0C-0C8F5D1C2A11';
const ROOT = 'C:\\ProgramData\\Hyper-V';

class Files implements HostFiles {
  readonly opened: string[] = [];
  open_ = 0;
  readonly #answers: Readonly<Record<string, number | Error>>;

  constructor(answers: Readonly<Record<string, number | Error>>) {
    this.#answers = answers;
  }

  async open(path: string) {
    this.opened.push(path);
    const answer = this.#answers[path.split('.').at(-1)!];
    if (answer instanceof Error) throw answer;
    if (answer === undefined) throw hostFileFaults.notFound({ path, localPath: path });
    const disk = new MemoryDisk(answer);
    this.open_ += 1;
    return {
      size: answer,
      read: (offset: number, into: Uint8Array) => disk.read(offset, into),
      close: async () => {
        this.open_ -= 1;
      },
    };
  }

  describe(): string {
    return 'a test';
  }

  async close(): Promise<void> {}
}

const read = (files: Files) => readConfigurationFiles(files, `Microsoft:${GUID}`, `${ROOT}\\`, {});

test('the files of the checkpoint are read from its folder, those there are, and closed', async () => {
  const files = new Files({ vmcx: 70_000, vmrs: 0 });
  const found = await read(files);
  assert.deepEqual(
    found.files.map(({ path, bytes }) => [path, bytes.length]),
    [
      [`${ROOT}\\Snapshots\\${GUID}.vmcx`, 70_000],
      [`${ROOT}\\Snapshots\\${GUID}.vmrs`, 0],
    ],
  );
  assert.deepEqual(found.warnings, []);
  assert.equal(files.open_, 0);
});

test('a folder no way leads to costs nothing; a file that cannot be read, or is too large, is a warning', async () => {
  const files = new Files({
    vmcx: hostFileFaults.noMapping({ path: ROOT }),
    vmgs: hostFileFaults.noAccess({ path: ROOT, localPath: ROOT }),
    vmrs: 17 * 1024 * 1024,
  });
  const { files: found, warnings } = await read(files);
  assert.deepEqual(found, []);
  assert.deepEqual(
    warnings.map(({ code, message }) => [code, /too large|may not read/.exec(message)?.[0]]),
    [
      ['CAPTURE_CONFIGURATION_FILE_UNREAD', 'may not read'],
      ['CAPTURE_CONFIGURATION_FILE_UNREAD', 'too large'],
    ],
  );
  assert.equal(files.open_, 0);
});

test('what is no fault of the file ends the run', async () => {
  await assert.rejects(read(new Files({ vmcx: new Error('cancelled') })), /cancelled/);
});
