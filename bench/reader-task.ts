/**
 * Reads a whole file of a server, and throws it away:
 *
 *   node -C source bench/reader-task.ts smb|sftp '{ ...request }'     prints { seconds, ... } as its last line
 *
 * `seconds` leave out the start of the program and have the log-on in them.
 */
import type { RangeReader } from '../src/disk/index.ts';
import { MiB } from '../src/base/index.ts';
import { createSftpClient, type SftpOptions } from '../src/sftp/index.ts';
import { createSmbClient, type SmbOptions } from '../src/smb/index.ts';
import type { TaskResult } from './task.ts';

export interface SmbReadRequest {
  readonly server: SmbOptions;
  readonly share: string;
  readonly path: string;
}

export interface SftpReadRequest {
  readonly server: SftpOptions;
  readonly path: string;
}

/** What a backup asks for at once, and how many such questions it has open. */
const READ_BYTES = 4 * MiB;
const READS_AT_ONCE = 4;

const TASKS: Record<string, (request: never) => Promise<void>> = {
  async smb({ server, share, path }: SmbReadRequest) {
    await using client = createSmbClient(server);
    await readWhole(await client.open(share, path));
  },
  async sftp({ server, path }: SftpReadRequest) {
    await using client = createSftpClient(server);
    await readWhole(await client.open(path));
  },
};

async function readWhole(file: RangeReader): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    const into = Buffer.allocUnsafeSlow(READ_BYTES);
    while (next < file.size) {
      const offset = next;
      next += READ_BYTES;
      await file.read(offset, into.subarray(0, Math.min(READ_BYTES, file.size - offset)));
    }
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, lane));
  await file.close();
}

const [name, request] = process.argv.slice(2);
const task = TASKS[name ?? ''];
if (!task) throw new Error(`no task ${name}; there are ${Object.keys(TASKS).join(', ')}`);
const started = performance.now();
await task(JSON.parse(request ?? '{}') as never);
const result: TaskResult = { seconds: (performance.now() - started) / 1000 };
console.log(JSON.stringify(result));
