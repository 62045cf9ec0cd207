/** `hvlift repair`: makes the index anew from the packs. What is in no pack it cannot bring back. */
import { Option, type Command } from '@commander-js/extra-typings';
import type { RepairRun } from '../engine.ts';
import { EXIT, exitCodeOfOutcome, worstOf } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import type { Runner } from '../session.ts';

export function registerRepair(program: Command, run: Runner): void {
  program
    .command('repair')
    .summary('make the index of a repository anew from its packs')
    .description(
      'Looks at packs and index, and says what a repair would change; with --apply makes the index anew from the packs. ' +
        'Changes no pack and no restore point; the old index counts until the new one is complete.',
    )
    .addOption(repoOption)
    .addOption(new Option('--apply', 'do it; without, nothing is changed'))
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const request = { repository, apply: options.apply === true };
        const repaired = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.repair(request, task),
        );
        await session.output.result(repaired, () => lines(repaired));
        for (const warning of repaired.warnings) session.output.warn(warning);
        const { damagedPacks, missingPacks } = repaired;
        const damage = damagedPacks.length + missingPacks.length > 0 ? EXIT.corrupt : EXIT.ok;
        return worstOf([damage, exitCodeOfOutcome(repaired)]);
      }),
    );
}

function lines(repaired: RepairRun): string[] {
  const { applied, packs, objects, unknownObjects, damagedSegments, about } = repaired;
  const { missingPacks, damagedPacks } = repaired;
  const done = applied ? 'index made anew' : 'the packs hold';
  const isWorse = damagedPacks.length + missingPacks.length > 0;
  return [
    `${done}: ${count(objects, 'object')} in ${count(packs, 'pack')}`,
    ...(unknownObjects > 0 ? [`${count(unknownObjects, 'object')} of them the index did not have`] : []),
    ...(damagedSegments > 0 ? [`${count(damagedSegments, 'segment')} of the index cannot be read`] : []),
    ...about.map((name) => (applied ? `written anew: ${name}` : `missing or of another version: ${name}`)),
    ...missingPacks.map((name) => `lost: ${name} is not there, and the index names it`),
    ...damagedPacks.map((problem) => `damaged: ${problem}; what could be read of it counts`),
    ...(isWorse ? ['`hvlift verify` tells what is lost'] : []),
    ...(applied ? [] : ['nothing was changed; `hvlift repair --apply` makes the index anew']),
  ];
}
