/** The middle stages: a full backup and three increments, each with its figures. */
import { KiB, MiB } from '../../src/base/index.ts';
import type { BackupRecord } from '../../src/flows/index.ts';
import { VM, type DemoContext } from './context.ts';

/** Our own grid: a changed block of 64 KiB costs 64 KiB. */
const CELL = 64 * KiB;
/** Bytes read, and bytes new to the repository, for each byte the guest changed in scattered places. */
const OVERHEAD_MAX = 1.05;

export async function backUpFourTimes(context: DemoContext): Promise<BackupRecord[]> {
  const { lab, plan, screen } = context;
  const database = { offset: plan.databaseOffset, length: plan.databaseBytes };
  await lab.guestRun(VM, {
    seed: 1,
    writes: plan.databaseWrites,
    writeBytes: MiB,
    pattern: 'sequential',
    within: database,
  });

  screen.stage(
    'Full backup, while the guest goes on writing: the checkpoint freezes all disks at one instant.',
  );
  await lab.startWriter(VM, { seed: 2, writesPerSecond: plan.writesPerSecond, within: database });
  const full = await backUp(context);
  await lab.stopWriter(VM);

  screen.stage(
    'Increment: what the guest wrote during the full backup, and what it writes and discards afterwards.',
  );
  await lab.guestRun(VM, { seed: 3, writes: plan.laterWrites, trims: 0.1, within: database });
  const later = await backUp(context);

  screen.stage(
    `Increment of ${plan.scatteredWrites} scattered writes of 64 KiB: it costs what changed, not the blocks around it.`,
  );
  await writeScattered(context);
  const scattered = await backUp(context);
  judgeScattered(context, scattered);

  screen.stage(
    'Increment of nothing: no byte changed, so none is read. It is a restore point like the others.',
  );
  return [full, later, scattered, await backUp(context)];
}

async function backUp({ stack, plan, screen }: DemoContext): Promise<BackupRecord> {
  const record = await stack.backup(VM);
  screen.backupHead();
  for (const [index, disk] of record.disks.entries()) screen.backupRow(plan.disks[index]!.name, disk);
  for (const { message } of record.warnings) screen.note(message);
  return record;
}

/** On the first disk, all over its database; never two in one place. */
async function writeScattered({ lab, plan }: DemoContext): Promise<void> {
  const { disks } = await lab.vm(VM);
  const { diskId, size } = disks[0]!;
  const apart = Math.floor((size - plan.databaseOffset) / CELL / plan.scatteredWrites) * CELL;
  for (let n = 0; n < plan.scatteredWrites; n += 1) {
    const offset = plan.databaseOffset + n * apart;
    await lab.guestWrite(VM, { diskId, offset, length: CELL, seed: 1000 + n });
  }
}

function judgeScattered({ plan, screen, failures }: DemoContext, record: BackupRecord): void {
  const changed = plan.scatteredWrites * CELL;
  const { readBytes, newBytes } = record.disks[0]!;
  const [read, stored] = [readBytes / changed, newBytes / changed];
  screen.note(
    `read / changed = ${read.toFixed(3)}, new / changed = ${stored.toFixed(3)}; at most ${OVERHEAD_MAX}`,
  );
  if (read > OVERHEAD_MAX) failures.push(`${readBytes} bytes were read for ${changed} that changed`);
  if (stored > OVERHEAD_MAX) failures.push(`${newBytes} bytes were new for ${changed} that changed`);
}
