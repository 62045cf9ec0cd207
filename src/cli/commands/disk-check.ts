/** `hvlift disk check`: what is wrong with a disk file. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { DiskCheckRun } from '../engine.ts';
import { EXIT } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import type { Runner } from '../session.ts';
import { absoluteFile, diskFile, parentsOption } from './disk-source.ts';

export function registerDiskCheck(disk: Command, run: Runner): void {
  disk
    .command('check')
    .summary('name every defect of a disk file')
    .description(
      'Names every defect of a VHDX, and the first of a VHD or its parents. Changes nothing; --repair writes a sound copy.',
    )
    .argument('<file>', 'the disk file')
    .addOption(
      new Option('--repair <copy>', 'VHDX: write a copy with its log replayed and its tables made anew'),
    )
    .addOption(parentsOption)
    .action((file, options) =>
      run(async (session) => {
        const request = {
          ...diskFile(session, file, options),
          ...(options.repair === undefined ? {} : { repairTo: absoluteFile(session, options.repair) }),
        };
        const checked = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.checkDisk(request, task),
        );
        await session.output.result(checked, () => lines(checked));
        return checked.sound || checked.repairedTo !== undefined ? EXIT.ok : EXIT.corrupt;
      }),
    );
}

function lines({ path, format, sound, findings, moreFindings, virtualBytes, repairedTo }: DiskCheckRun) {
  const size = virtualBytes === undefined ? '' : `, ${formatBytes(virtualBytes)}`;
  return [
    `${path}: ${format}${size}: ${sound ? 'sound' : 'damaged'}`,
    ...findings.flatMap(({ severity, code, message, remedy }) => [
      `  ${severity} ${code}: ${message}`,
      `    do: ${remedy}`,
    ]),
    ...(moreFindings > 0 ? [`  and ${count(moreFindings, 'more finding')}`] : []),
    ...(repairedTo === undefined ? [] : [`a sound copy is ${repairedTo}`]),
  ];
}
