/** `hvlift fold`: makes whole again what many increments have cut into pieces. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, parseBytes } from '../../base/index.ts';
import type { FoldedDisk, FoldedPoint, FoldRecord } from '../../flows/index.ts';
import { exitCodeOfOutcome } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import type { Runner } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

export function registerFold(program: Command, run: Runner): void {
  program
    .command('fold')
    .summary('store whole again what many increments have cut into pieces')
    .description(
      'Looks at the newest restore point of each VM and stores slots of 1 MiB that a restore would read in many pieces whole again, as a new restore point of the same content and the same time; increments go on from there. The old one is dropped by `prune`, which counts the two as one. Needs the repository and no host.',
    )
    .addOption(repoOption)
    .addOption(
      new Option('--dry-run', 'say how many pieces there are and what a fold would store, and store nothing'),
    )
    .addOption(new Option('--vm <vm>', 'points of this VM only, by name or id'))
    .addOption(
      new Option('--budget <size>', 'store at most so much, of all VMs together; the next run goes on'),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const { vm } = options;
        const bytesMax = budgetOf(options.budget);
        const request = {
          repository: await session.repository(options),
          dryRun: options.dryRun === true,
          ...(vm === undefined ? {} : { vm }),
          ...(bytesMax === undefined ? {} : { bytesMax }),
        };
        const record = await session.perform(NOTHING_TO_CLEAN, (task) => session.engine.fold(request, task));
        await session.output.result(record, () => lines(record, session.output.width));
        for (const warning of record.warnings) session.output.warn(warning);
        return exitCodeOfOutcome(record);
      }),
    );
}

function budgetOf(text: string | undefined): number | undefined {
  const bytes = text === undefined ? undefined : parseBytes(text);
  if (text === undefined || (bytes !== undefined && bytes > 0)) return bytes;
  throw cliFaults.usage({ reason: '--budget is a size, such as 100GiB', command: 'hvlift fold' });
}

interface Row {
  readonly point: FoldedPoint;
  readonly disk: FoldedDisk;
}

function lines({ points, dryRun }: FoldRecord, width: number): string[] {
  const rows = points.flatMap((point) => point.disks.map((disk) => ({ point, disk })));
  const shown = dryRun ? rows : rows.filter(({ disk }) => disk.foldedSlots > 0);
  const sum = (of: (disk: FoldedDisk) => number): number =>
    rows.reduce((total, { disk }) => total + of(disk), 0);
  const total = dryRun
    ? `${count(
        sum(({ foldableSlots }) => foldableSlots),
        'slot',
      )} would be folded, for ${formatBytes(sum(({ foldableBytes }) => foldableBytes))} before compression at most`
    : `${count(
        sum(({ foldedSlots }) => foldedSlots),
        'slot',
      )} folded, ${formatBytes(sum(({ newStoredBytes }) => newStoredBytes))} stored`;
  return [...(shown.length > 0 ? tableLines(dryRun ? PLANNED : DONE, shown, width) : []), total];
}

const COMMON: readonly Column<Row>[] = [
  { title: 'VM', cell: ({ point }) => point.vm.name },
  { title: 'POINT', cell: ({ point }) => point.pointId },
  { title: 'CONSUMER', dropFirst: 5, cell: ({ point }) => point.consumer ?? '' },
  { title: 'DISK', cell: ({ point, disk }) => String(point.disks.indexOf(disk) + 1) },
  { title: 'SLOTS', align: 'right', cell: ({ disk }) => String(disk.slots) },
  { title: 'READS', align: 'right', cell: ({ disk }) => String(disk.pieces) },
];

const PLANNED: readonly Column<Row>[] = [
  ...COMMON,
  { title: 'AFTER', align: 'right', cell: ({ disk }) => String(disk.pieces - disk.savedPieces) },
  { title: 'TO FOLD', align: 'right', cell: ({ disk }) => String(disk.foldableSlots) },
  { title: 'STORES', align: 'right', cell: ({ disk }) => formatBytes(disk.foldableBytes) },
];

const DONE: readonly Column<Row>[] = [
  ...COMMON,
  { title: 'FOLDED', align: 'right', cell: ({ disk }) => `${disk.foldedSlots} of ${disk.foldableSlots}` },
  { title: 'STORED', align: 'right', cell: ({ disk }) => formatBytes(disk.newStoredBytes) },
  { title: 'INTO', cell: ({ point }) => point.foldedInto ?? '' },
];
