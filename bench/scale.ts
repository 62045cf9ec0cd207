/** `npm run bench -- --only scale`: opening and asking a large index, listing many restore points, what a large map costs. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatBytes, KiB } from '../src/base/index.ts';
import { runMeasured } from './measured-child.ts';
import { table } from './report.ts';

interface Asked {
  readonly openSeconds: number;
  readonly found: { readonly p50: number; readonly p99: number };
  readonly absent: { readonly p50: number; readonly p99: number };
}

export interface ScaleOptions {
  readonly folder: string;
  readonly entries: number;
  readonly points: number;
}

/** A folder with room for 52 bytes an entry. */
export async function scaleReport(options: ScaleOptions): Promise<string> {
  return [await indexReport(options), await pointsReport(options), await mapReport()].join('\n\n');
}

async function indexReport({ folder, entries }: ScaleOptions): Promise<string> {
  const request = { folder: join(folder, 'index'), entries };
  await run('make-index', request);
  const { result, peakBytes } = await run('ask-index', request);
  const { openSeconds, found, absent } = result as Asked;
  const micro = (value: number): string => `${value.toFixed(0)} µs`;
  const rows = [
    [
      entries.toLocaleString('en'),
      `${(openSeconds * 1000).toFixed(0)} ms`,
      micro(found.p50),
      micro(found.p99),
      micro(absent.p50),
      micro(absent.p99),
      formatBytes(peakBytes),
    ],
  ];
  const head = ['chunks in the index', 'opened in', 'found, p50', 'p99', 'absent, p50', 'p99', 'peak memory'];
  return ['### A large index', '', ...table(head, rows)].join('\n');
}

async function pointsReport({ folder, points }: ScaleOptions): Promise<string> {
  const request = { folder: join(folder, 'points'), points };
  await run('make-points', request);
  const rows: string[][] = [];
  for (const catalogue of ['none: written', 'read']) {
    const { result, peakBytes } = await run('list-points', request);
    const listed = result as { readonly points: number; readonly seconds: number; readonly reads: number };
    const { points: count, seconds, reads } = listed;
    rows.push([catalogue, String(count), `${seconds.toFixed(2)} s`, String(reads), formatBytes(peakBytes)]);
  }
  const head = ['catalogue', 'restore points', 'listed in', 'files read', 'peak memory'];
  return ['### Many restore points', '', ...table(head, rows)].join('\n');
}

/** A leaf that holds one patched slot, a node above it for each 256 leaves that are spread that far, and the root. */
async function mapReport(): Promise<string> {
  const rows: string[][] = [];
  for (const changes of [1, 64, 1024, 4096]) {
    const { result } = await run('map', { changes });
    const { dataBytes, overheadBytes } = result as { dataBytes: number; overheadBytes: number };
    rows.push([
      String(changes),
      formatBytes(changes * 64 * KiB),
      formatBytes(dataBytes),
      formatBytes(overheadBytes),
      `${Math.round(overheadBytes / changes)} B`,
    ]);
  }
  const head = ['changes of 64 KiB', 'changed', 'new data', 'all else', 'a change'];
  return ['### An increment on a disk of 64 TiB, spread over all of it', '', ...table(head, rows)].join('\n');
}

async function run(name: string, request: object): Promise<{ result: unknown; peakBytes: number }> {
  const script = fileURLToPath(new URL('./scale-task.ts', import.meta.url));
  const command = [process.execPath, '-C', 'source', script, name, JSON.stringify(request)];
  const { output, peakBytes } = await runMeasured(command);
  return { result: JSON.parse(output.trim().split('\n').at(-1)!) as unknown, peakBytes };
}
