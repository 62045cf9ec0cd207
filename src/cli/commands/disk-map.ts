/** `hvlift disk map`: where the bytes of a disk are. Runs are shown as they are found: a disk may have millions. */
import { Option, type Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { DiskMap, DiskRun, RunTotals } from '../../flows/index.ts';
import { cliFaults } from '../faults.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import type { JsonDocument } from '../json-document.ts';
import { count } from '../numbers.ts';
import type { Runner, Session } from '../session.ts';
import { diskFile, parentsOption } from './disk-source.ts';

export function registerDiskMap(disk: Command, run: Runner): void {
  disk
    .command('map')
    .summary('show where the bytes of a disk are')
    .description(
      'Shows each run of the disk: data with its place in a file of the chain, zeros that a file states, and holes that no file ' +
        'says anything of.',
    )
    .argument('<file>', 'the disk file')
    .addOption(
      new Option(
        '--layer <number>',
        'only what this file of the chain says, 0 being the file itself; a hole is then what it leaves to its parent',
      ).argParser(layerNumber),
    )
    .addOption(parentsOption)
    .action((file, options) =>
      run(async (session) => {
        const { layer } = options;
        const request = { ...diskFile(session, file, options), ...(layer === undefined ? {} : { layer }) };
        return session.inParts('runs', (document) =>
          session.perform(NOTHING_TO_CLEAN, (task, endPhase) =>
            session.engine.mapDisk(request, task, async (map) => {
              endPhase();
              await show(map, session, document);
            }),
          ),
        );
      }),
    );
}

function layerNumber(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw cliFaults.usage({
    reason: `--layer is a number from 0 on, not "${text}"`,
    command: 'hvlift disk map',
  });
}

/** Lines written together. */
const LINES_AT_ONCE = 500;

async function show(map: DiskMap, { output }: Session, document: JsonDocument): Promise<void> {
  const { runs, totals, virtualBytes, files } = map;
  let lines = headLines(map);
  for await (const run of runs) {
    if (output.json) await document.line(run);
    else lines.push(runLine(run));
    if (lines.length >= LINES_AT_ONCE) {
      await output.lines(lines);
      lines = [];
    }
    if (output.closed) return;
  }
  await output.lines([...lines, ...totalLines(totals)]);
  await document.close();
  await document.field('virtualBytes', virtualBytes);
  await document.field('files', files);
  await document.field('totals', totals);
}

function headLines({ files }: DiskMap): string[] {
  return [
    ...files.map(({ path }, layer) => `layer ${layer}: ${path}`),
    row('OFFSET', 'LENGTH', 'KIND', 'LAYER', 'FILE OFFSET'),
  ];
}

function runLine({ offset, length, kind, layer, fileOffset }: DiskRun): string {
  return row(String(offset), String(length), kind, text(layer), text(fileOffset));
}

function text(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}

/** Of fixed widths, since no line waits for those after it: 64 TiB have 14 digits. */
function row(offset: string, length: string, kind: string, layer: string, fileOffset: string): string {
  const numbers = `${offset.padStart(14)}  ${length.padStart(14)}`;
  return `${numbers}  ${kind.padEnd(4)}  ${layer.padStart(5)}  ${fileOffset.padStart(14)}`.trimEnd();
}

function totalLines(totals: RunTotals): string[] {
  const words = { data: 'data', zero: 'stated zeros', hole: 'holes' } as const;
  return (['data', 'zero', 'hole'] as const).map((kind) => {
    const { bytes, runs } = totals[kind];
    return `${words[kind]}: ${formatBytes(bytes)} (${bytes} bytes) in ${count(runs, 'run')}`;
  });
}
