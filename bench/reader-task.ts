/**
 * Reads a whole file of a server and throws it away, or takes stock of a large host:
 *
 *   node -C source bench/reader-task.ts smb|sftp|inventory '{ ...request }'     prints { seconds, ... } as its last line
 *
 * `seconds` leave out the start of the program, and have the log-on in them.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MiB } from '../src/base/index.ts';
import type { RangeReader } from '../src/disk/index.ts';
import { surveyHost } from '../src/hyperv/index.ts';
import { createSftpClient, type SftpOptions } from '../src/sftp/index.ts';
import { createSmbClient, type SmbOptions } from '../src/smb/index.ts';
import { openWinrm } from '../src/winrm/index.ts';
import type { ManyVms } from './many-vms.ts';
import { timed, type TaskResult } from './timed.ts';

interface SmbRequest {
  readonly server: SmbOptions;
  readonly share: string;
  readonly path: string;
}

interface SftpRequest {
  readonly server: SftpOptions;
  readonly path: string;
}

/** What a backup asks for at once, and how many such questions it has open. */
const READ_BYTES = 4 * MiB;
const READS_AT_ONCE = 4;

const TASKS: Record<string, (request: never) => Promise<TaskResult>> = {
  smb: ({ server, share, path }: SmbRequest) =>
    timed(async () => {
      await using client = createSmbClient(server);
      await readWhole(await client.open(share, path));
    }),
  sftp: ({ server, path }: SftpRequest) =>
    timed(async () => {
      await using client = createSftpClient(server);
      await readWhole(await client.open(path));
    }),
  inventory: inventoryTask,
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

async function inventoryTask({ vms }: { vms: number }): Promise<TaskResult> {
  const script = fileURLToPath(new URL('./many-vms.ts', import.meta.url));
  const host = fork(script, [String(vms)], { execArgv: ['-C', 'source'] });
  try {
    const [{ url, credentials }] = (await once(host, 'message')) as [ManyVms];
    return await timed(async () => {
      await using session = await openWinrm({ url, credentials });
      const survey = await surveyHost(session);
      if (survey.vms.length !== vms || survey.disks.length !== 4 * vms)
        throw new Error('not everything was told');
    });
  } finally {
    host.send('end');
    await once(host, 'exit');
  }
}

const [name, request] = process.argv.slice(2);
const task = TASKS[name ?? ''];
if (!task) throw new Error(`no task ${name}; there are ${Object.keys(TASKS).join(', ')}`);
console.log(JSON.stringify(await task(JSON.parse(request ?? '{}') as never)));
