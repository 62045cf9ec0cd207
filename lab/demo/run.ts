/**
 * The demo: the main job on an emulated host, with nothing but this project.
 *
 *   real files ─► disks ─► the host, a process of its own ─► full backup while the guest writes ─► three increments
 *     ─► every restore point restored ─► every image compared with the truth the host kept at that checkpoint
 */
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../../src/base/index.ts';
import { backUpFourTimes } from './backups.ts';
import { ClientStack } from './client-stack.ts';
import { VM, type DemoContext, type DemoOptions } from './context.ts';
import { fillDisks } from './filled-disks.ts';
import { startLab } from './lab-process.ts';
import { compareAll } from './restores.ts';

/** The second where the first is kept in memory, as many systems do it, and is small. */
const PLACES = [tmpdir(), '/var/tmp'] as const;

/** Everything that is not as it should be; an empty list is success. Leaves nothing behind. */
export async function runDemo(options: DemoOptions): Promise<string[]> {
  const { plan, screen } = options;
  const place = await findRoom(plan.roomBytes);
  if (place === undefined) return [await lackOfRoom(plan.roomBytes)];
  const folder = await mkdtemp(join(place, 'hvlift-demo-'));
  options.onFolder?.(folder);
  screen.line(
    'A VM is backed up from an emulated Hyper-V host, and every restore point is compared with the truth.',
  );
  screen.line(`Everything lies in ${folder} and is removed at the end; Ctrl-C ends it at any time.`);
  try {
    return await runIn(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function runIn(folder: string, options: DemoOptions): Promise<string[]> {
  const { screen } = options;
  await mkdir(join(folder, 'images'));
  const { disks, content } = await fillDisks(join(folder, 'images'), options);
  screen.stage(
    'The host starts as a process of its own. Clients reach it as they reach a real one, by WS-Management.',
  );
  await using lab = await startLab(join(folder, 'host'), options.onHost);
  screen.note(`It answers at ${lab.address.url}, with NTLM and every message sealed.`);
  await lab.client.createVm({ name: VM, disks });
  await rm(join(folder, 'images'), { recursive: true });
  const sizes = disks.map(({ size }) => formatBytes(size)).join(' and ');
  screen.note(`Its VM "${VM}" has disks of ${sizes}, kept as VHDX files.`);
  await using stack = await ClientStack.open(lab.address, join(folder, 'repository'));
  const context: DemoContext = { ...options, lab: lab.client, stack, folder, content, failures: [] };
  const records = await backUpFourTimes(context);
  await compareAll(context, records);
  return context.failures;
}

/** Found before anything is written: a disk that fills up half-way would look like a failure of the backup. */
async function findRoom(bytes: number): Promise<string | undefined> {
  for (const folder of PLACES) if ((await freeBytes(folder)) >= bytes) return folder;
  return undefined;
}

async function lackOfRoom(bytes: number): Promise<string> {
  const free = formatBytes(await freeBytes(tmpdir()));
  return `${tmpdir()} has ${free} free and the demo needs ${formatBytes(bytes)}; name a folder with more in TMPDIR, or add --small`;
}

async function freeBytes(folder: string): Promise<number> {
  return statfs(folder).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
}
