/** `hvlift points`: the restore points of a repository. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import { DISK_KINDS, type PointDisk, type PointSummary } from '../engine.ts';
import { consistencyCell } from '../consistency-text.ts';
import { timeCell } from '../numbers.ts';
import { passphraseFileOption, recoveryKeyFileOption, repoOption } from '../options.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { Runner, Session } from '../session.ts';
import { sizeColumns } from '../size-columns.ts';
import { tableLines, type Column } from '../table.ts';
import { registerPointsCopy } from './points-copy.ts';
import { registerPointsPin, registerPointsUnpin } from './points-pin.ts';
import { registerPointsShow } from './points-show.ts';

/** Shorter ids are shown only as long as they stay unique in the list. */
const ID_LENGTH_MIN = 8;

export function registerPoints(program: Command, run: Runner): void {
  const points = program
    .command('points')
    .summary('list, show, copy and hold restore points')
    .description('Restore points: `list` is what is meant without another word.');
  registerList(points as Command, run);
  registerPointsShow(points as Command, run);
  registerPointsCopy(points as Command, run);
  registerPointsPin(points as Command, run);
  registerPointsUnpin(points as Command, run);
}

function registerList(points: Command, run: Runner): void {
  points
    .command('list', { isDefault: true })
    .summary('list restore points')
    .description(
      'Lists the restore points of a repository, of each VM the newest first. Any of them can be restored alone.',
    )
    .addOption(repoOption)
    .addOption(new Option('--vm <vm>', 'of this VM only, by name or id'))
    .addOption(new Option('--disks', 'a line for each disk, with the numbers `restore --disk` takes'))
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        const filter = options.vm === undefined ? {} : { vm: options.vm };
        return session.inParts('points', async (document) => {
          const points = await session.perform(NOTHING_TO_CLEAN, async (task) => {
            const found: PointSummary[] = [];
            for await (const point of session.engine.points(repository, filter, task)) {
              await document.item(point);
              if (!session.output.json) found.push(point);
            }
            return found;
          });
          await show(session, points, options.disks === true);
        });
      }),
    );
}

async function show(session: Session, points: readonly PointSummary[], disks: boolean): Promise<void> {
  if (points.length === 0 && !session.output.json) session.output.say('there are no restore points');
  if (points.length === 0) return;
  const shown: Shown = { ids: shortIds(points.map((point) => point.id)), namesakes: namesakesIn(points) };
  const rows = disks
    ? points.flatMap((point) =>
        point.disks.map((disk) => ({ ...rowOf(point, shown), disk, sizes: disk.sizes })),
      )
    : points.map((point) => rowOf(point, shown));
  await session.output.lines(tableLines(COLUMNS, rows, session.output.width));
}

/** What depends on the whole list. */
interface Shown {
  readonly ids: ReadonlyMap<string, string>;
  /** Names that several VMs have; only those are shown with their ids. */
  readonly namesakes: ReadonlySet<string>;
}

interface Row {
  readonly id: string;
  readonly vmId: string;
  readonly point: PointSummary;
  readonly disk?: PointDisk;
  readonly sizes: PointSummary['sizes'];
}

function rowOf(point: PointSummary, { ids, namesakes }: Shown): Row {
  const { vm, sizes } = point;
  return { id: ids.get(point.id)!, vmId: namesakes.has(vm.name) ? vm.id : '', point, sizes };
}

function namesakesIn(points: readonly PointSummary[]): Set<string> {
  const ids = Map.groupBy(points, ({ vm }) => vm.name);
  return new Set(
    [...ids].filter(([, same]) => new Set(same.map(({ vm }) => vm.id)).size > 1).map(([name]) => name),
  );
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'POINT', cell: (row) => row.id },
  { title: 'VM', cell: (row) => row.point.vm.name },
  { title: 'VM ID', cell: (row) => row.vmId },
  { title: 'CREATED', cell: (row) => timeCell(row.point.createdAt) },
  {
    title: 'CONSISTENCY',
    dropFirst: 7,
    cell: (row) => consistencyCell(row.point.consistency),
  },
  { title: 'CONSUMER', dropFirst: 5, cell: (row) => row.point.consumer ?? '' },
  { title: 'DISK', align: 'right', cell: (row) => (row.disk ? String(row.disk.number) : '') },
  { title: 'KIND', dropFirst: 8, cell: (row) => row.disk?.kind ?? kindOf(row.point) },
  { title: 'AUDIT', cell: auditCell },
  ...sizeColumns<Row>((row) => row.sizes),
  { title: 'PATH', cell: (row) => row.disk?.path ?? '' },
];

/** Suspect: a later audit found changes that the host had not reported. */
function auditCell({ disk, point }: Row): string {
  const disks = disk ? [disk] : point.disks;
  if (disks.some(({ suspect }) => suspect)) return 'SUSPECT';
  const audited = disks.map(({ auditedBytes = 0 }) => auditedBytes).reduce((sum, bytes) => sum + bytes, 0);
  return audited > 0 ? formatBytes(audited) : '';
}

/** Each disk is decided alone. */
function kindOf(point: PointSummary): string {
  const kinds = DISK_KINDS.filter((kind) => point.disks.some((disk) => disk.kind === kind));
  return kinds.join('+');
}

/** Each id cut to where it still differs from its neighbours in order. Exported for its test. */
export function shortIds(ids: readonly string[]): Map<string, string> {
  const sorted = [...new Set(ids)].sort();
  return new Map(
    sorted.map((id, i) => {
      const shared = Math.max(sharedLength(id, sorted[i - 1] ?? ''), sharedLength(id, sorted[i + 1] ?? ''));
      return [id, id.slice(0, Math.max(ID_LENGTH_MIN, shared + 1))];
    }),
  );
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length += 1;
  return length;
}
