/** `hvlift repair`: makes the index anew from the packs. What is in no pack it cannot bring back. */
import type { Command } from '@commander-js/extra-typings';
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
      'Makes the index of a repository anew from its packs. Changes no pack and no restore point; the old index counts until the new one is complete.',
    )
    .addOption(repoOption)
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const repaired = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.repair(repository, task),
        );
        await session.output.result(repaired, () => lines(repaired));
        for (const warning of repaired.warnings) session.output.warn(warning);
        const damage = repaired.damagedPacks.length > 0 ? EXIT.corrupt : EXIT.ok;
        return worstOf([damage, exitCodeOfOutcome(repaired)]);
      }),
    );
}

function lines({ packs, objects, damagedPacks }: RepairRun): string[] {
  return [
    `index made anew: ${count(objects, 'object')} in ${count(packs, 'pack')}`,
    ...damagedPacks.map((problem) => `damaged: ${problem}; what could be read of it is in the index`),
    ...(damagedPacks.length > 0 ? ['`hvlift verify` tells what is lost'] : []),
  ];
}
