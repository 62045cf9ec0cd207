/** The last stages: every restore point as images, each compared with what the disks held at its checkpoint. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/base/index.ts';
import { restorePoint, type BackupRecord, type RestoreRecord } from '../../src/flows/index.ts';
import { VM, type DemoContext } from './context.ts';
import { FIRST_PARTITION } from './partition-table.ts';
import { findProgram, runProgram } from './programs.ts';

/** In turn, so that each format carries data and the changes over it. */
const FORMATS = ['raw', 'vhdx', 'qcow2', 'raw'] as const;
type ImageFormat = (typeof FORMATS)[number];

export async function compareAll(context: DemoContext, records: readonly BackupRecord[]): Promise<void> {
  const { lab, screen, failures } = context;
  screen.stage(
    'Restore of every point. The host kept, apart from its VHDX files, what each disk held at each checkpoint; each image is',
    'compared with that over its whole size: of a raw image every byte is read, of VHDX and qcow2 every block they hold, and',
    'what they do not hold must have been zeros.',
  );
  screen.restoreHead();
  const seals = await lab.seals(VM);
  if (seals.length !== records.length)
    failures.push(`${seals.length} checkpoints for ${records.length} backups`);
  let compared = 0;
  for (const [index, record] of records.entries()) {
    const folder = join(context.folder, 'restored');
    const format = FORMATS[index % FORMATS.length]!;
    const restored = await restore(context, record, { folder, format });
    compared += await compare(context, restored, {
      number: index + 1,
      sealId: seals[index]?.id ?? '',
      format,
    });
    if (index === records.length - 1 && context.content === 'ext4') await checkFileSystem(context, restored);
    await rm(folder, { recursive: true });
  }
  if (failures.length === 0)
    screen.stage(`${formatBytes(compared)} of disks compared: every byte is as it was.`);
}

async function restore(
  { stack }: DemoContext,
  record: BackupRecord,
  to: { folder: string; format: ImageFormat },
): Promise<RestoreRecord> {
  const point = await stack.repository.point(record.pointId);
  return restorePoint(stack.repository, { point, ...to });
}

/** Bytes of the disks that were compared. */
async function compare(
  { lab, plan, screen, failures }: DemoContext,
  restored: RestoreRecord,
  point: { number: number; sealId: string; format: ImageFormat },
): Promise<number> {
  for (const [index, disk] of restored.disks.entries()) {
    const { name } = plan.disks[index]!;
    const difference = await lab.compareImage(point.sealId, disk.diskId, disk.path, point.format);
    const verdict = difference === null ? 'identical' : `DIFFERS from byte ${difference} on`;
    screen.restoreRow(point.number, name, disk, verdict);
    if (difference !== null) failures.push(`point ${point.number}, disk ${name}: ${verdict}`);
  }
  return restored.disks.reduce((sum, disk) => sum + disk.virtualBytes, 0);
}

/** The administrator's question: is what was restored a file system? Asked where its own checker is installed. */
async function checkFileSystem(
  { plan, screen, failures, programFolders }: DemoContext,
  restored: RestoreRecord,
): Promise<void> {
  const e2fsck = await findProgram('e2fsck', programFolders);
  if (e2fsck === undefined) return;
  for (const [index, { path }] of restored.disks.entries()) {
    const { code, output } = await runProgram(e2fsck, ['-f', '-n', `${path}?offset=${FIRST_PARTITION}`]);
    const files = /: (\d+)\/\d+ files/.exec(output)?.[1];
    const { name } = plan.disks[index]!;
    screen.note(
      `e2fsck of the file system on the restored ${name} disk: ${code === 0 ? `clean, ${files} files and folders` : 'NOT CLEAN'}`,
    );
    if (code !== 0) failures.push(`e2fsck of ${name}: ${output.trim()}`);
  }
}
