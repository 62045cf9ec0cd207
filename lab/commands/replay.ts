/** `hvlift lab replay`: a recording of a real host, answered from as if the host were here. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { secretIn } from '../control/index.ts';
import { startReplay } from '../replay/index.ts';
import { folderOption, print, wholeNumber } from './session.ts';
import { signalled } from './start.ts';

export function registerReplay(program: Command): void {
  program
    .command('replay')
    .summary('answer from a recording of a real host')
    .description(
      'Answers WS-Management from a file that `hvlift record` wrote, and prints one line of JSON when clients can connect. What ' +
        'was not asked then is answered by a fault. Ctrl-C stops it.',
    )
    .argument('<file>', 'the recording')
    .addOption(folderOption)
    .option('--port <number>', 'port of WS-Management; default: a free one', wholeNumber)
    .option('--user <name>', 'the account clients use', 'labadmin')
    .action(async (file, { folder, port, user }) => {
      await mkdir(resolve(folder), { recursive: true });
      const passwordFile = join(resolve(folder), 'password');
      const users = [{ user, password: await secretIn(passwordFile) }];
      const replay = await startReplay({
        recording: resolve(file),
        users,
        ...(port === undefined ? {} : { port }),
      });
      const { url, exchanges, untouched } = replay;
      print(JSON.stringify({ url, user, passwordFile, exchanges, untouched, pid: process.pid }));
      await signalled();
      await replay.close();
    });
}
