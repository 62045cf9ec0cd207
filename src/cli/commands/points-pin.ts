/** `hvlift points pin` and `unpin`: holding a restore point against every rule. */
import { Option, type Command } from '@commander-js/extra-typings';
import { EXIT } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import {
  latestOfOption,
  passphraseFileOption,
  pointSelector,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { Runner } from '../session.ts';

const POINT = 'id of the restore point, the beginning of one, or "latest" with --vm';

export function registerPointsPin(points: Command, run: Runner): void {
  points
    .command('pin')
    .summary('hold a restore point: it is not dropped')
    .description(
      'Holds a restore point: `hvlift prune` does not drop it, whatever the rules say, until it is let go.',
    )
    .argument('<point>', POINT)
    .addOption(new Option('--reason <text>', 'why, for those who come later').makeOptionMandatory())
    .addOption(repoOption)
    .addOption(latestOfOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const selector = pointSelector(point, options.vm, 'hvlift points pin');
        const { reason } = options;
        const repository = await session.repository(options);
        const pin = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.pinPoint({ repository, point: selector, reason }, task),
        );
        await session.output.result({ pin }, () => [`point ${pin.pointId} is held: ${pin.reason}`]);
        return EXIT.ok;
      }),
    );
}

export function registerPointsUnpin(points: Command, run: Runner): void {
  points
    .command('unpin')
    .summary('let go of a restore point')
    .description('Lets go of a restore point that was held: the rules count for it again.')
    .argument('<point>', POINT)
    .addOption(repoOption)
    .addOption(latestOfOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((point, options) =>
      run(async (session) => {
        const selector = pointSelector(point, options.vm, 'hvlift points unpin');
        const repository = await session.repository(options);
        const { pointId, wasHeld } = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.unpinPoint({ repository, point: selector }, task),
        );
        await session.output.result({ pointId, wasHeld }, () => [
          wasHeld ? `point ${pointId} is held no more` : `point ${pointId} was not held`,
        ]);
        return EXIT.ok;
      }),
    );
}
