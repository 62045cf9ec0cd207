/** `hvlift verify`: reads back what is stored and says what could not be restored. */
import { InvalidArgumentError, Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration, parseBytes } from '../../base/index.ts';
import type { VerifiedState, VerifyBudget } from '../../repository/index.ts';
import type { VerifyRun } from '../engine.ts';
import { EXIT, exitCodeOfOutcome, worstOf } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { count, formatRate, timeCell } from '../numbers.ts';
import {
  latestOfOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner } from '../session.ts';

export function registerVerify(program: Command, run: Runner): void {
  program
    .command('verify')
    .summary('read back restore points and check every byte')
    .description(
      'Reads back one restore point, or everything, and checks it. Goes on after damage, to name all of it.',
    )
    .argument(
      '[point]',
      'id of the restore point, the beginning of one, or "latest" with --vm; default: everything',
    )
    .addOption(repoOption)
    .addOption(new Option('--all', 'everything, also when that is meant by leaving out POINT'))
    .addOption(latestOfOption)
    .addOption(
      new Option(
        '--budget <amount>',
        'read only so much, what was read the longest time ago first: a percentage, a size, or a time such as 10m',
      ).argParser(budget),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const selected = selection(point, options);
        const repository = await session.repository(options);
        const request = {
          repository,
          ...(selected === undefined ? {} : { point: selected }),
          ...(options.budget === undefined ? {} : { budget: options.budget }),
        };
        const verified = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.verify(request, task),
        );
        await session.output.result(verified, () => lines(verified));
        for (const warning of verified.warnings) session.output.warn(warning);
        const damage = verified.damaged.length > 0 ? EXIT.corrupt : EXIT.ok;
        return worstOf([damage, exitCodeOfOutcome(verified)]);
      }),
    );
}

function selection(point: string | undefined, options: { all?: true; vm?: string; budget?: VerifyBudget }) {
  const command = 'hvlift verify';
  if (options.budget && (point !== undefined || options.all))
    throw cliFaults.usage({ reason: '--budget goes with neither POINT nor --all', command });
  if (point !== undefined && options.all)
    throw cliFaults.usage({ reason: 'POINT and --all exclude each other', command });
  if (point !== undefined) return pointSelector(point, options.vm, command);
  if (options.vm !== undefined) throw cliFaults.usage({ reason: '--vm goes with "latest"', command });
  return undefined;
}

const SECONDS = { s: 1, m: 60, h: 3600 } as const;

/** `5%`, `100GiB`, `10m`. */
function budget(text: string): VerifyBudget {
  const time = /^(\d{1,6})([smh])$/.exec(text);
  if (time && Number(time[1]) > 0)
    return { seconds: Number(time[1]) * SECONDS[time[2] as keyof typeof SECONDS] };
  const percent = Number(/^(\d+(?:\.\d+)?)%$/.exec(text)?.[1]);
  if (percent > 0 && percent <= 100) return { percent };
  const bytes = parseBytes(text);
  if (bytes) return { bytes };
  throw new InvalidArgumentError(
    'It is a percentage such as 5%, a size such as 100GiB, or a time such as 10m.',
  );
}

/** "every byte in packs was read since 2026-11-20 08:00". */
export function verifiedText({ since, neverBytes, totalBytes }: VerifiedState): string {
  if (since !== undefined) return `every byte in packs was read since ${timeCell(since)}`;
  return neverBytes === 0
    ? 'nothing is stored yet'
    : `${formatBytes(neverBytes)} of ${formatBytes(totalBytes)} in packs was never read back`;
}

function lines(verified: VerifyRun): string[] {
  const { points, objects, readBytes, seconds, damaged } = verified;
  const rate = readBytes > 0 && seconds > 0 ? `, ${formatRate(readBytes / seconds)}` : '';
  const verdict = damaged.length === 0 ? 'no damage' : count(damaged.length, 'damaged object');
  return [
    `${count(points, 'restore point')}, ${count(objects, 'object')}, ${formatBytes(readBytes)} read in ${formatDuration(seconds)}${rate}: ${verdict}`,
    verifiedText(verified.verified),
    ...damaged.flatMap(damageLines),
  ];
}

function damageLines({ object, problem, affects, settings }: VerifyRun['damaged'][number]): string[] {
  return [
    `damaged: ${object}: ${problem}`,
    ...affects.map(({ pointId, vm, disk, extents }) => {
      const bytes = extents.reduce((sum, extent) => sum + extent.length, 0);
      return `  cannot be restored: ${formatBytes(bytes)} in ${count(extents.length, 'range')} of disk ${disk} of ${vm} in point ${pointId}`;
    }),
    ...settings.map(({ pointId, vm }) => `  cannot be restored: settings of ${vm} in point ${pointId}`),
  ];
}
