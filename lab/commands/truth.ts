/** `hvlift lab truth`: what the disks really held, at every instant that matters. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { Option } from '@commander-js/extra-typings';
import { MiB, isZero } from '../../src/base/index.ts';
import { LabFailure, RETURN } from '../model/index.ts';
import { connected, folderOption, print } from './session.ts';

const COPY_SIZE = 4 * MiB;

export function registerTruth(program: Command): void {
  const truth = program.command('truth').summary('compare what was backed up with what was there');
  truth
    .command('seals')
    .summary('the instants that are known: checkpoints and marks, as JSON')
    .argument('<vm>')
    .addOption(folderOption)
    .action(async (vm, options) => print(await (await connected(options)).seals(vm)));
  truth
    .command('mark')
    .summary('remember this instant')
    .argument('<vm>')
    .addOption(folderOption)
    .action(async (vm, options) => print(await (await connected(options)).mark(vm)));
  truth
    .command('compare')
    .summary('compare an image with a disk at a seal; exit code 3 when they differ')
    .argument('<seal>', 'id of a seal, or now')
    .argument('<disk-id>')
    .argument('<image>')
    .addOption(
      new Option('--format <name>', 'of the image')
        .choices(['raw', 'vhdx', 'qcow2'] as const)
        .default('raw' as const),
    )
    .addOption(folderOption)
    .action(async (seal, diskId, image, options) => {
      const client = await connected(options);
      const difference = await client.compareImage(seal, diskId, resolve(image), options.format);
      print(difference === null ? 'the same' : `different from byte ${difference} on`);
      if (difference !== null) process.exitCode = 3;
    });
  truth
    .command('export')
    .summary('write a disk as it was at a seal to a raw image')
    .argument('<seal>', 'id of a seal, or now')
    .argument('<disk-id>')
    .argument('<image>')
    .addOption(folderOption)
    .action(async (seal, diskId, image, options) => exportTruth(options, { seal, diskId, image }));
}

async function exportTruth(
  options: { folder: string },
  { seal, diskId, image }: { seal: string; diskId: string; image: string },
): Promise<void> {
  const reader = await (await connected(options)).truthReader(seal, diskId);
  const file = await open(image, 'wx').catch((error: unknown) => {
    throw new LabFailure(RETURN.invalidParameter, `${image} cannot be created: ${(error as Error).message}`);
  });
  try {
    await file.truncate(reader.size);
    for (let at = 0; at < reader.size; at += COPY_SIZE) {
      const part = new Uint8Array(Math.min(COPY_SIZE, reader.size - at));
      await reader.read(at, part);
      if (!isZero(part)) await file.write(part, 0, part.length, at);
    }
  } finally {
    await file.close();
  }
}
