/** `hvlift prune`: drops the restore points that no rule keeps, then collects what only they needed. */
import { Option, type Command } from '@commander-js/extra-typings';
import type { PrunePoint, PruneRecord } from '../../flows/index.ts';
import { exitCodeOfOutcome } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { collectLines } from '../gc-text.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count, timeCell } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import {
  keepDailyOption,
  keepHourlyOption,
  keepLastOption,
  keepMonthlyOption,
  keepWeeklyOption,
  keepYearlyOption,
  minGoodOption,
  retentionOf,
} from '../retention-options.ts';
import type { Runner } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

export function registerPrune(program: Command, run: Runner): void {
  program
    .command('prune')
    .summary('drop the restore points that no rule keeps')
    .description(
      'Drops restore points that no rule keeps: the rules named here, else those of the configuration. The newest point of a VM, points that are held, points the next increment needs, and the last good ones are never dropped. Then collects garbage as `gc` does.',
    )
    .addOption(repoOption)
    .addOption(new Option('--dry-run', 'list each point with the rule that keeps it, and drop nothing'))
    .addOption(new Option('--vm <vm>', 'points of this VM only, by name or id'))
    .addOption(keepLastOption)
    .addOption(keepHourlyOption)
    .addOption(keepDailyOption)
    .addOption(keepWeeklyOption)
    .addOption(keepMonthlyOption)
    .addOption(keepYearlyOption)
    .addOption(minGoodOption)
    .addOption(new Option('--no-gc', 'leave the garbage to a later `hvlift gc`'))
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const dryRun = options.dryRun === true;
        const retention = retentionOf(options, (await session.config()).config);
        if (retention.length === 0) throw cliFaults.noRetention();
        const repository = await session.repository(options);
        const { vm } = options;
        const request = { repository, retention, dryRun, ...(vm === undefined ? {} : { vm }) };
        const { pruned, gc } = await session.perform(NOTHING_TO_CLEAN, async (task) => {
          const pruned = await session.engine.prune(request, task);
          if (dryRun || !options.gc) return { pruned, gc: undefined };
          return { pruned, gc: await session.engine.collect({ repository, dryRun: false }, task) };
        });
        const document = { ...pruned, ...(gc === undefined ? {} : { gc }) };
        await session.output.result(document, () => [
          ...lines(pruned, session.output.width),
          ...(gc === undefined ? [] : collectLines(gc, false)),
        ]);
        for (const warning of pruned.warnings) session.output.warn(warning);
        return exitCodeOfOutcome(pruned);
      }),
    );
}

function lines({ points, dryRun, kept, dropped }: PruneRecord, width: number): string[] {
  const shown = dryRun ? points : points.filter(({ keptBy }) => keptBy.length === 0);
  const verb = dryRun ? 'would be dropped' : 'dropped';
  return [
    ...(shown.length > 0 ? tableLines(COLUMNS, shown, width) : []),
    `${count(dropped, 'restore point')} ${verb}, ${kept} kept`,
  ];
}

const COLUMNS: readonly Column<PrunePoint>[] = [
  { title: 'POINT', cell: ({ pointId }) => pointId },
  { title: 'VM', cell: ({ vm }) => vm.name },
  { title: 'CREATED', cell: ({ createdAt }) => timeCell(createdAt) },
  { title: 'CONSUMER', dropFirst: 5, cell: ({ consumer }) => consumer ?? '' },
  { title: 'GOOD', cell: ({ good }) => (good ? '' : 'NO') },
  { title: 'KEPT BY', cell: ({ keptBy }) => (keptBy.length === 0 ? 'nothing: DROPPED' : keptBy.join(', ')) },
  { title: 'HELD', cell: ({ pin }) => pin ?? '' },
];
