/** `hvlift gc`: deletes what no restore point needs. */
import { Option, type Command } from '@commander-js/extra-typings';
import { EXIT } from '../exit-code.ts';
import { collectLines } from '../gc-text.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import type { Runner } from '../session.ts';

export function registerGc(program: Command, run: Runner): void {
  program
    .command('gc')
    .summary('delete what no restore point needs any more')
    .description(
      'Deletes what no restore point needs. What one run finds dead, a later run deletes, when it finds the same and every backup that could not know has ended. Backups, restores and other commands may go on meanwhile.',
    )
    .addOption(repoOption)
    .addOption(new Option('--dry-run', 'say what would be deleted, and change nothing'))
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const dryRun = options.dryRun === true;
        const repository = await session.repository(options);
        const report = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.collect({ repository, dryRun }, task),
        );
        await session.output.result({ dryRun, ...report }, () => collectLines(report, dryRun));
        return EXIT.ok;
      }),
    );
}
