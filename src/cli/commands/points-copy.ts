/** `hvlift points copy`: restore points into another repository. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { PointCopied } from '../engine.ts';
import { EXIT } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { timeCell } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import type { Runner } from '../session.ts';

export function registerPointsCopy(points: Command, run: Runner): void {
  points
    .command('copy')
    .summary('copy restore points into another repository')
    .description(
      'Copies restore points into another repository, under its keys. Moves only what that does not have; a copy that was cut ' +
        'off goes on where it was. Points keep their ids and times. Baselines are not copied: backups go on in the one they were in.',
    )
    .argument('[points...]', 'ids of restore points, or the beginnings of ids')
    .addOption(repoOption)
    .addOption(
      new Option(
        '--to <repository>',
        'the repository to copy into: a configured name, or a path',
      ).makeOptionMandatory(),
    )
    .addOption(new Option('--vm <vm>', 'every restore point of this VM, by name or id'))
    .addOption(new Option('--all', 'every restore point'))
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .addOption(
      new Option('--to-passphrase-file <file>', 'file with the passphrase of the repository to copy into'),
    )
    .addOption(
      new Option(
        '--to-recovery-key-file <file>',
        'file with the recovery key of the repository to copy into',
      ),
    )
    .action((ids, options) =>
      run(async (session) => {
        const ways = [ids.length > 0, options.vm !== undefined, options.all === true].filter(Boolean).length;
        if (ways !== 1) {
          const reason = 'name restore points, or a VM with --vm, or --all';
          throw cliFaults.usage({ reason, command: 'hvlift points copy' });
        }
        const access = session.accessBy(await session.config());
        const { toPassphraseFile: passphraseFile, toRecoveryKeyFile: recoveryKeyFile } = options;
        const request = {
          repository: access.repository(options),
          to: access.repository({ repo: options.to, passphraseFile, recoveryKeyFile }),
          points: ids,
          ...(options.vm === undefined ? {} : { vm: options.vm }),
        };
        return session.inParts('points', async (document, codes) => {
          await session.perform(NOTHING_TO_CLEAN, async (task) => {
            for await (const copied of session.engine.copyPoints(request, task)) {
              await document.item(copied);
              await session.output.lines([line(copied)]);
            }
          });
          codes.push(EXIT.ok);
        });
      }),
    );
}

function line({ pointId, vm, createdAt, present, readBytes, storedBytes }: PointCopied): string {
  const done = present
    ? 'there already'
    : `${formatBytes(readBytes)} read, ${formatBytes(storedBytes)} stored`;
  return `${pointId} of ${vm.name}, ${timeCell(createdAt)}: ${done}`;
}
