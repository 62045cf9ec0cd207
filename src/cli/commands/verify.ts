/** `hvlift verify`: reads back what is stored and says what could not be restored. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration } from '../../base/index.ts';
import type { VerifyRun } from '../engine.ts';
import { EXIT, exitCodeOfOutcome, worstOf } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { count, formatRate } from '../numbers.ts';
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
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const selected = selection(point, options);
        const repository = await session.repository(options);
        const request = selected === undefined ? { repository } : { repository, point: selected };
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

function selection(point: string | undefined, options: { all?: true; vm?: string }) {
  const command = 'hvlift verify';
  if (point !== undefined && options.all)
    throw cliFaults.usage({ reason: 'POINT and --all exclude each other', command });
  if (point !== undefined) return pointSelector(point, options.vm, command);
  if (options.vm !== undefined) throw cliFaults.usage({ reason: '--vm goes with "latest"', command });
  return undefined;
}

function lines(verified: VerifyRun): string[] {
  const { points, objects, readBytes, seconds, damaged } = verified;
  const rate = readBytes > 0 && seconds > 0 ? `, ${formatRate(readBytes / seconds)}` : '';
  const verdict = damaged.length === 0 ? 'no damage' : count(damaged.length, 'damaged object');
  return [
    `${count(points, 'restore point')}, ${count(objects, 'object')}, ${formatBytes(readBytes)} read in ${formatDuration(seconds)}${rate}: ${verdict}`,
    ...damaged.flatMap(damageLines),
  ];
}

function damageLines({ object, problem, affects }: VerifyRun['damaged'][number]): string[] {
  return [
    `damaged: ${object}: ${problem}`,
    ...affects.map(({ pointId, vm, disk, extents }) => {
      const bytes = extents.reduce((sum, extent) => sum + extent.length, 0);
      return `  cannot be restored: ${formatBytes(bytes)} in ${count(extents.length, 'range')} of disk ${disk} of ${vm} in point ${pointId}`;
    }),
  ];
}
