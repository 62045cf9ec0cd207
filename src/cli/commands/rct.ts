/** `hvlift rct enable|changes|reset`: change tracking by hand. Backups do all of this by themselves. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { DiskChanges } from '../engine.ts';
import { EXIT } from '../exit-code.ts';
import type { JsonDocument } from '../json-document.ts';
import { count } from '../numbers.ts';
import { hostOption } from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { tableLines, type Column } from '../table.ts';

const CHECKPOINT_TEXTS = {
  cleaning: 'removing the recovery checkpoint of this run',
  leftBehind:
    'a recovery checkpoint may stay on the host and its AVHDX grows until the next backup of the VM removes it',
};
const RESET_TEXTS = {
  cleaning: 'finishing the reference point that is being destroyed',
  leftBehind: 'reference points that were not reached yet stay; run the command again',
};

export function registerRct(program: Command, run: Runner): void {
  const rct = program
    .command('rct')
    .summary('change tracking (RCT) by hand')
    .description('Change tracking (RCT) by hand. `hvlift backup` does all of this by itself.');
  registerEnable(rct, run);
  registerChanges(rct, run);
  registerReset(rct, run);
}

function registerEnable(rct: Command, run: Runner): void {
  rct
    .command('enable')
    .summary('make a reference point: from now on changes can be told')
    .description(
      'Makes a reference point of the VM and prints its id. From now on the host can tell what changes.',
    )
    .argument('<vm>', 'VM by name or id')
    .addOption(hostOption)
    .action((vm, options) =>
      run(async (session) => {
        const host = await session.host(options.host);
        const point = await session.perform(CHECKPOINT_TEXTS, (task) =>
          session.engine.enableRct({ host, vm }, task),
        );
        await session.output.result(point, () => [
          `${point.vm.name}: reference point ${point.id}, consistency ${point.consistency}, ${count(point.disks.length, 'disk')}`,
          `changes since now: hvlift rct changes ${shellWord(point.vm.name)} --since ${shellWord(point.id)}`,
        ]);
        return EXIT.ok;
      }),
    );
}

function registerChanges(rct: Command, run: Runner): void {
  rct
    .command('changes')
    .summary('show what changed since a reference point')
    .description(
      'Shows how much of each disk changed since a reference point; with --json, which byte ranges.',
    )
    .argument('<vm>', 'VM by name or id')
    .addOption(new Option('--since <id>', 'id of the reference point').makeOptionMandatory())
    .addOption(hostOption)
    .action((vm, options) =>
      run(async (session) => {
        const request = { host: await session.host(options.host), vm, since: options.since };
        return session.inParts('disks', async (document) => {
          const rows = await session.perform(CHECKPOINT_TEXTS, async (task) => {
            const rows: Row[] = [];
            for await (const disk of session.engine.changedBlocks(request, task)) {
              rows.push(await consume(disk, session, document));
              if (session.output.closed) break;
            }
            return rows;
          });
          await session.output.lines(tableLines(COLUMNS, rows));
        });
      }),
    );
}

function registerReset(rct: Command, run: Runner): void {
  rct
    .command('reset')
    .summary('destroy the reference points made by hand here')
    .description(
      'Destroys the reference points that `hvlift rct enable` made of the VM on this machine, and no others: those of backups stay, ' +
        'and their increments go on.',
    )
    .argument('<vm>', 'VM by name or id')
    .addOption(hostOption)
    .addOption(new Option('--dry-run', 'show which those are, and change nothing'))
    .action((vm, options) =>
      run(async (session) => {
        const host = await session.host(options.host);
        const reset = await session.perform(RESET_TEXTS, (task) =>
          session.engine.resetRct({ host, vm, dryRun: options.dryRun === true }, task),
        );
        const done = options.dryRun ? 'would be destroyed' : 'destroyed';
        await session.output.result(reset, () => [
          `${reset.vm.name}: ${count(reset.removed.length, 'reference point')} ${done}`,
          ...reset.removed.map((id) => `  ${id}`),
        ]);
        return EXIT.ok;
      }),
    );
}

interface Row {
  readonly number: number;
  readonly path: string;
  readonly virtualBytes: number;
  changedBytes: number;
  extents: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'DISK', cell: (row) => String(row.number) },
  { title: 'VIRTUAL', align: 'right', cell: (row) => formatBytes(row.virtualBytes) },
  { title: 'CHANGED', align: 'right', cell: (row) => formatBytes(row.changedBytes) },
  { title: 'RANGES', align: 'right', cell: (row) => String(row.extents) },
  { title: 'PATH', cell: (row) => row.path },
];

/** Writes the extents of a disk as they come; a disk may have more of them than memory holds. */
async function consume(disk: DiskChanges, session: Session, document: JsonDocument): Promise<Row> {
  const { extents, ...facts } = disk;
  const row: Row = { ...facts, changedBytes: 0, extents: 0 };
  await document.object(facts);
  await document.array('extents');
  for await (const { offset, length } of extents) {
    await document.item({ offset, length });
    row.changedBytes += length;
    row.extents += 1;
    if (session.output.closed) break;
  }
  await document.close();
  await document.field('changedBytes', row.changedBytes);
  await document.close();
  return row;
}

/** A word to paste into a shell. */
function shellWord(text: string): string {
  return /^[\w.:/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
