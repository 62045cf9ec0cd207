/** `hvlift restore POINT --to DIR`: the disks of a restore point as image files, or the VM as one package. */
import path from 'node:path';
import { Option, type Command } from '@commander-js/extra-typings';
import { formatDuration } from '../../base/index.ts';
import { absolutePath } from '../config-path.ts';
import { consistencyText } from '../consistency-text.ts';
import { RESTORE_FORMATS, type RestoreRun } from '../engine.ts';
import { exitCodeOfOutcome } from '../exit-code.ts';
import { bytesCell, ratePerSecond } from '../numbers.ts';
import {
  diskOption,
  latestOfOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { Runner } from '../session.ts';
import { tableLines, type Column } from '../table.ts';
import { restoreToStdout } from './restore-stream.ts';
import { STDOUT } from './stdout-stream.ts';

const TEXTS = {
  cleaning: 'removing the image files that are not complete',
  leftBehind:
    'files named *.partial stay in the target folder; they are not complete images and can be deleted',
};

export function registerRestore(program: Command, run: Runner): void {
  program
    .command('restore')
    .summary('write the disks of a restore point to image files')
    .description(
      'Writes the disks of a restore point to image files in a folder, with the settings of the VM in vm.json. Existing files ' +
        'are refused before anything is read. A file has its final name only once it is complete.',
    )
    .argument('<point>', 'id of the restore point, the beginning of one, or "latest" with --vm')
    .addOption(repoOption)
    .addOption(
      new Option(
        '--to <dir>',
        'folder for the image files; made when missing; - sends one image to stdout',
      ).makeOptionMandatory(),
    )
    .addOption(latestOfOption)
    .addOption(
      new Option('--format <format>', 'image format').choices(RESTORE_FORMATS).default('vhdx' as const),
    )
    .addOption(diskOption)
    .addOption(
      new Option('--overwrite', 'replace existing image files, and what a run that was cut off left of them'),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const chosen = {
          point: pointSelector(point, options.vm, 'hvlift restore'),
          repository: await session.repository(options),
          disks: options.disk ?? [],
          format: options.format,
        };
        if (options.to === STDOUT) return restoreToStdout(session, chosen);
        const { workingFolder, homeFolder } = session.io;
        const to = absolutePath(options.to, workingFolder, homeFolder);
        const request = { ...chosen, to, overwrite: options.overwrite === true };
        const restored = await session.perform(TEXTS, (task) => session.engine.restore(request, task));
        await session.output.result(restored, () => lines(restored, request.to));
        for (const warning of restored.warnings) session.output.warn(warning);
        return exitCodeOfOutcome(restored);
      }),
    );
}

type Row = RestoreRun['disks'][number];

const COLUMNS: readonly Column<Row>[] = [
  { title: 'DISK', cell: (disk) => String(disk.number) },
  { title: 'VIRTUAL', align: 'right', cell: (disk) => bytesCell(disk.virtualBytes) },
  { title: 'WRITTEN', align: 'right', cell: (disk) => bytesCell(disk.writtenBytes) },
  { title: 'MB/s', align: 'right', cell: (disk) => ratePerSecond(disk.writtenBytes, disk.seconds) },
  { title: 'FILE', cell: (disk) => path.basename(disk.path) },
];

function lines(restored: RestoreRun, to: string): string[] {
  const head = `${restored.vm.name}: point ${restored.pointId} restored to ${to} in ${formatDuration(restored.seconds)}, consistency ${consistencyText(restored.consistency)}`;
  return [head, ...tableLines(COLUMNS, restored.disks).map((line) => `  ${line}`)];
}
