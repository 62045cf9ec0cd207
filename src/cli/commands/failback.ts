/** `hvlift failback REPLICA`: the disks of a VM that was cut over, for the way back to Hyper-V. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration } from '../../base/index.ts';
import type { FailbackRecord } from '../../flows/index.ts';
import { absolutePath } from '../config-path.ts';
import { EXIT } from '../exit-code.ts';
import type { Runner } from '../session.ts';
import { stateFolderOf, stateOption } from './replicate.ts';

const TEXTS = {
  cleaning: 'stopping; what is written stays, and the next run goes on with it',
  leftBehind: 'nothing is lost: run the command again',
};

export function registerFailback(program: Command, run: Runner): void {
  program
    .command('failback')
    .summary('bring back what a VM wrote after its cutover, as VHDX files')
    .description(
      'Writes what the machine has on its disks that took the place of the VM into VHDX files for Hyper-V. The machine must be ' +
        'off. Files that are there already are compared, and only differences are written. Needs no host.',
    )
    .argument('<replica>', 'its id, the beginning of one, or the name of its VM')
    .addOption(new Option('--to <dir>', 'folder for the VHDX files').makeOptionMandatory())
    .addOption(stateOption)
    .action((replica, options) =>
      run(async (session) => {
        const { io } = session;
        const to = absolutePath(options.to, io.workingFolder, io.homeFolder);
        const call = { replica, to, ...stateFolderOf(session, options) };
        const record = await session.perform(TEXTS, (task) => session.engine.failBack(call, task));
        await session.output.result({ ...record }, () => lines(record));
        return EXIT.ok;
      }),
    );
}

function lines({ vm, disks, seconds }: FailbackRecord): string[] {
  return [
    `${vm.name}: its disks as VHDX, in ${formatDuration(seconds)}:`,
    ...disks.map(({ place, isNew, writtenBytes, zeroedBytes }) => {
      const bytes = formatBytes(writtenBytes + zeroedBytes);
      return `  ${place}: ${isNew ? `new, ${bytes} of data` : `was there: ${bytes} differed`}`;
    }),
    'attach them to the VM on its host in place of its own, give it back its start action, and start it there',
  ];
}
