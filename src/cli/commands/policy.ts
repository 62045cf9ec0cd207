/** `hvlift policy simulate`: what a retention policy comes to in three years. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { SimulatedMonth, Simulation } from '../../flows/index.ts';
import type { PointSummary } from '../engine.ts';
import { EXIT } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import {
  keepDailyOption,
  keepHourlyOption,
  keepLastOption,
  keepMonthlyOption,
  keepWeeklyOption,
  keepYearlyOption,
  minGoodOption,
  policyOfOptions,
} from '../retention-options.ts';
import type { Runner } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

/** A backup every minute for three years is a million and a half points: nobody asks for that. */
const EVERY_HOURS_MIN = 0.25;

export function registerPolicy(program: Command, run: Runner): void {
  program
    .command('policy')
    .summary('play a retention policy forward')
    .command('simulate')
    .summary('how many points and how much space it comes to in three years')
    .description(
      'Plays a retention policy three years forward for one VM. With --vm, space is estimated from what its points took until now. A policy that would drop what the store still locks is refused. Changes nothing.',
    )
    .addOption(new Option('--every <hours>', 'hours between two backups').argParser(hours).default(24))
    .addOption(keepLastOption)
    .addOption(keepHourlyOption)
    .addOption(keepDailyOption)
    .addOption(keepWeeklyOption)
    .addOption(keepMonthlyOption)
    .addOption(keepYearlyOption)
    .addOption(minGoodOption)
    .addOption(
      new Option(
        '--lock-days <days>',
        'days for which the store locks what is written; default: what s3.objectLock of --repo says',
      ).argParser(days),
    )
    .addOption(new Option('--vm <vm>', 'estimate space from the points of this VM, by name or id'))
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const keep = policyOfOptions(options);
        if (!keep) throw cliFaults.noRetention();
        const { vm, repo } = options;
        const points: PointSummary[] = [];
        const isNamed = vm !== undefined || repo !== undefined;
        const repository = isNamed ? await session.repository(options) : undefined;
        const lockDays = options.lockDays ?? repository?.s3?.objectLock?.days;
        if (repository && vm !== undefined) {
          await session.perform(NOTHING_TO_CLEAN, async (task) => {
            for await (const point of session.engine.points(repository, { vm }, task)) points.push(point);
          });
        }
        const stored = storedOf(points);
        const { simulatePolicy } = await import('../../flows/index.ts');
        const simulation = simulatePolicy({ keep, everyHours: options.every, lockDays, stored });
        await session.output.result(simulation, () => lines(simulation, session.output.width));
        return EXIT.ok;
      }),
    );
}

/** The largest point is taken for a whole, the mean of the increments for an increment. */
function storedOf(points: readonly PointSummary[]) {
  if (points.length === 0) return undefined;
  const increments = points.filter(({ disks }) => disks.every(({ kind }) => kind === 'delta'));
  const sum = increments.reduce((total, { sizes }) => total + sizes.stored, 0);
  return {
    fullBytes: Math.max(...points.map(({ sizes }) => sizes.stored)),
    incrementBytes: increments.length === 0 ? 0 : sum / increments.length,
  };
}

function lines({ months, pointsMax }: Simulation, width: number): string[] {
  const shown = months.filter(({ month }) => month <= 3 || month % 6 === 0);
  return [...tableLines(COLUMNS, shown, width), `at most ${count(pointsMax, 'restore point')} at any time`];
}

const COLUMNS: readonly Column<SimulatedMonth>[] = [
  { title: 'AFTER MONTHS', align: 'right', cell: ({ month }) => String(month) },
  { title: 'POINTS', align: 'right', cell: ({ points }) => String(points) },
  { title: 'OLDEST, DAYS', align: 'right', cell: ({ oldestDays }) => String(oldestDays) },
  {
    title: 'STORED AT MOST',
    align: 'right',
    cell: ({ bytes }) => (bytes === undefined ? '' : formatBytes(bytes)),
  },
];

function hours(text: string): number {
  const value = Number(text);
  if (!(value >= EVERY_HOURS_MIN && value <= 24 * 366))
    throw new InvalidArgumentError('It must be a number of hours, at least 0.25.');
  return value;
}

function days(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw new InvalidArgumentError('It must be a number of days.');
  return Number(text);
}
