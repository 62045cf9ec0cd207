/** `hvlift disk hash`: a digest of what a disk file holds, the same for every format. */
import { Option, type Command } from '@commander-js/extra-typings';
import { EXIT } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner } from '../session.ts';
import { diskFile, parentsOption } from './disk-source.ts';

export function registerDiskHash(disk: Command, run: Runner): void {
  disk
    .command('hash')
    .summary('print a digest of what a disk file holds')
    .description(
      'Prints the SHA-256 of the disk, as sha256sum prints that of a raw image of it. --tree prints a tree hash instead, which ' +
        'costs only what the disk holds.',
    )
    .argument('<file>', 'the disk file')
    .addOption(new Option('--tree', 'the tree hash of docs/formats/tree-hash.md, which skips holes'))
    .addOption(parentsOption)
    .action((file, { tree = false, ...options }) =>
      run(async (session) => {
        const request = { ...diskFile(session, file, options), tree };
        const hashed = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.hashDisk(request, task),
        );
        await session.output.result(hashed, () => [`${hashed.hash}  ${file}`]);
        return EXIT.ok;
      }),
    );
}
