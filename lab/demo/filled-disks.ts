/** The first stage: disk images with real files on them. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/base/index.ts';
import type { DiskSpec } from '../model/index.ts';
import { createDiskImage, type Content } from './disk-image.ts';
import { copyFiles, realFiles, USUAL_FOLDERS, type CopiedFiles } from './real-files.ts';
import type { DemoOptions } from './context.ts';

const MADE_WITH: Readonly<Record<Content, string>> = {
  ext4: 'in ext4 file systems, made with mke2fs',
  tar: 'one after the other as in a tar archive (no mke2fs here, so there is no file system)',
};

export type FilledDisk = DiskSpec & { readonly size: number };

/** Creates one raw image a disk in `folder`. */
export async function fillDisks(
  folder: string,
  options: DemoOptions,
): Promise<{ disks: FilledDisk[]; content: Content }> {
  const { plan, screen, programFolders } = options;
  screen.stage('Disks are filled with real data, because it is what compresses and repeats as yours does.');
  const source = realFiles(USUAL_FOLDERS);
  const disks: FilledDisk[] = [];
  const copies: CopiedFiles[] = [];
  let content: Content = 'ext4';
  for (const { name, size, fileBytes } of plan.disks) {
    const staging = join(folder, `${name}-files`);
    const fromRaw = join(folder, `${name}.raw`);
    await mkdir(staging);
    copies.push(await copyFiles(source, staging, fileBytes));
    const { databaseOffset } = plan;
    content = await createDiskImage(fromRaw, staging, {
      diskBytes: size,
      databaseOffset,
      fileBytes,
      programFolders,
    });
    await rm(staging, { recursive: true });
    disks.push({ name, size, fromRaw });
  }
  screen.note(`${described(copies)}, ${MADE_WITH[content]};`);
  screen.note('behind them, on each disk, a partition a database writes to.');
  return { disks, content };
}

function described(copies: readonly CopiedFiles[]): string {
  const sum = (of: (copy: CopiedFiles) => number): number =>
    copies.reduce((total, copy) => total + of(copy), 0);
  const madeUp = sum((copy) => copy.madeUpBytes);
  const real = `${formatBytes(sum((copy) => copy.bytes))} in ${sum((copy) => copy.files)} files of this machine`;
  return madeUp === 0 ? real : `${real} and ${formatBytes(madeUp)} of random bytes, for lack of more`;
}
