/** `hvlift disk compare A B`: whether two disk files hold the same disk. Exit codes as of cmp: 0 the same, 1 different. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, isFault } from '../../base/index.ts';
import type { CompareRecord } from '../../flows/index.ts';
import { EXIT, exitCodeOf, type ExitCode } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import type { Runner } from '../session.ts';
import { absoluteFile, diskFile, parentsOption } from './disk-source.ts';

/** Elsewhere the code of a failure nobody foresaw, which is why those have another one here. */
const DIFFERENT: ExitCode = EXIT.unexpected;

export function registerDiskCompare(disk: Command, run: Runner): void {
  disk
    .command('compare')
    .summary('tell whether two disk files hold the same disk')
    .description(
      'Compares two disks byte by byte, whatever their formats. Exit code 0: the same; 1: different. A longer disk is the same ' +
        'as a shorter one when the rest of it is zeros.',
    )
    .argument('<a>', 'a disk file')
    .argument('<b>', 'another disk file')
    .addOption(new Option('--all', 'go on after the first difference, and count'))
    .addOption(new Option('--strict', 'disks of two sizes are different'))
    .addOption(parentsOption)
    .action((a, b, { all = false, strict = false, ...options }) =>
      run(async (session) => {
        const request = { ...diskFile(session, a, options), other: absoluteFile(session, b), all, strict };
        const compared = await session
          .perform(NOTHING_TO_CLEAN, (task) => session.engine.compareDisks(request, task))
          .catch((error: unknown) => {
            throw neverDifferent(error);
          });
        await session.output.result(compared, () => lines(compared));
        return compared.equal ? EXIT.ok : DIFFERENT;
      }),
    );
}

function neverDifferent(error: unknown): unknown {
  if (exitCodeOf(error) !== DIFFERENT || isFault(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return cliFaults.comparisonBroke({ reason }, { cause: error });
}

function lines(compared: CompareRecord): string[] {
  const { equal, virtualBytes, firstDifference: first, differingBytes, differingSectors = 0 } = compared;
  const [one, other] = virtualBytes;
  const sizes = one === other ? [] : [`the sizes are ${one} and ${other} bytes`];
  if (equal) {
    const rest = sizes.map((text) => `${text}; what the longer disk has more is zeros`);
    return [`the same: ${formatBytes(Math.max(one, other))}`, ...rest];
  }
  return [
    first === undefined
      ? 'different'
      : `different: first at byte ${first}, in sector ${Math.floor(first / 512)}`,
    ...(differingBytes === undefined
      ? []
      : [`${count(differingBytes, 'byte')} in ${count(differingSectors, 'sector')} of 512 bytes differ`]),
    ...sizes,
  ];
}
