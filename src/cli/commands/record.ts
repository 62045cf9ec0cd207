/** `hvlift record [host] --to FILE`: what a real host answers, made anonymous, for those who build what talks to it. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { Recording } from '../../recording/index.ts';
import { absolutePath } from '../config-path.ts';
import { EXIT } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import type { Runner } from '../session.ts';

export function registerRecord(program: Command, run: Runner): void {
  program
    .command('record')
    .summary('write what a host answers, made anonymous, into a file')
    .description(
      'Asks a host for everything a backup reads of its VMs and writes the answers into a file, with every name, id, address and ' +
        'serial number replaced. Changes nothing on the host and sends the file to nobody. The lab replays it.',
    )
    .argument('[host]', 'the host (HVLIFT_HOST); default: the configured one')
    .addOption(new Option('--to <file>', 'the file; it must not exist').makeOptionMandatory())
    .addOption(new Option('--vm <vm>', 'record this VM in depth; default: the first ten'))
    .action((name, { to, vm }) =>
      run(async (session) => {
        const host = await session.host(name);
        const path = absolutePath(to, session.io.workingFolder, session.io.homeFolder);
        const request = { host, to: path, ...(vm === undefined ? {} : { vm }) };
        const recording = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.record(request, task),
        );
        await session.output.result(recording, () => lines(recording));
        return EXIT.ok;
      }),
    );
}

function lines({ path, bytes, exchanges, replaced, vms, names }: Recording): string[] {
  const { word, guid, mac, ipv4, ipv6 } = replaced;
  return [
    `${path}: ${count(exchanges, 'question')} and answers, ${formatBytes(bytes)}, of a host with ${count(vms, 'VM')}`,
    '',
    `replaced: ${count(word, 'word')}, ${count(guid, 'GUID')}, ${count(ipv4 + ipv6, 'IP')}, ${count(mac, 'MAC')}`,
    ...names.map(({ original, pseudonym }) => `  ${original} is ${pseudonym} in it`),
    'kept: numbers, sizes, times, versions, names of classes and properties,',
    '  words Windows itself brings',
    '',
    `Look at it before you give it away: less ${path}`,
    'Nothing was sent to anybody. What stands for what was not written down.',
  ];
}
