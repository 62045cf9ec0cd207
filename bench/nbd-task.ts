/**
 * Our side of what is measured over NBD, in processes of their own:
 *
 *   node -C source bench/nbd-task.ts serve '{ repository, socket }'   the last point, until SIGTERM; prints a line once it serves
 *   node -C source bench/nbd-task.ts file '{ path, socket }'           a raw file
 *   node -C source bench/nbd-task.ts copy '{ path, socket }'           a raw file into an export; prints { seconds }
 *
 * Copying is what a replication cycle does with an NBD target.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FileReader, RawDisk } from '../src/disk/index.ts';
import { servePoint } from '../src/flows/index.ts';
import { copyRanges } from '../src/flows/replicate-ranges.ts';
import { NbdDisk, NbdServer } from '../src/nbd/index.ts';
import { openDirectoryStore } from '../src/objectstore/index.ts';
import { openRepository } from '../src/repository/index.ts';
import { PASSPHRASE, VM_ID } from './made-points.ts';
import { timed } from './timed.ts';

// As bin/hvlift.js has it: worker threads load compiled code.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'hvlift-bench-cache');

interface OnSocket {
  readonly socket: string;
}

const TASKS: Record<string, (request: never) => Promise<void>> = {
  serve: serveTask,
  file: fileTask,
  copy: copyTask,
};

interface PointOnSocket extends OnSocket {
  readonly repository: string;
  readonly cacheBytes?: number;
}

async function serveTask({ repository: folder, socket, ...options }: PointOnSocket): Promise<void> {
  const store = await openDirectoryStore(folder);
  await using repository = await openRepository(store, { passphrase: PASSPHRASE });
  const point = await repository.point('latest', { vmId: VM_ID });
  const place = { kind: 'unix', path: socket } as const;
  await using _server = await servePoint(repository, { ...options, point, place });
  await untilTold();
}

async function fileTask({ path, socket }: OnSocket & { path: string }): Promise<void> {
  const disk = new RawDisk(await FileReader.open(path));
  await using _server = await NbdServer.listen(
    { kind: 'unix', path: socket },
    { exports: new Map([['', { disk }]]) },
  );
  await untilTold();
}

async function copyTask({ path, socket }: OnSocket & { path: string }): Promise<void> {
  const result = await timed(async () => {
    const source = new RawDisk(await FileReader.open(path));
    const into = await NbdDisk.open(`nbd+unix:///?socket=${socket}`);
    await copyRanges({ source, extents: source.allocated(), into, how: 'fresh', advance: () => undefined });
    await into.close();
    await source.close();
  });
  console.log(JSON.stringify(result));
}

/** The answer is the sign for who waits. */
function untilTold(): Promise<void> {
  console.log('serving');
  return new Promise((resolve) => process.once('SIGTERM', () => resolve()));
}

const [name, request] = process.argv.slice(2);
await TASKS[name!]!(JSON.parse(request!) as never);
