/**
 * Conversion of disk files beside `qemu-img convert`, and reading beside the disk itself.
 *
 *   disk.vhdx        the large disk of the other groups
 *   thin.vhdx        the same amount of data, over 256 GiB
 *   64 GiB, 64 TiB   1 GiB of data each: what the size of a disk costs
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { GiB, TiB } from '../src/base/index.ts';
import {
  checkSame,
  convert,
  emptyFolder,
  taskCommand,
  taskStep,
  warmPages,
  type Ratio,
  type Step,
} from './step.ts';
import { makeSourceDisk } from './source-disk.ts';

/** The settings of the strongest peer: as many requests at once as it allows, and writes in any order. */
export const PARALLEL = ['-W', '-m', '16'];
const ZSTD = ['-c', '-o', 'compression_type=zstd'];

export interface ConvertContext {
  readonly disk: string;
  readonly dataBytes: number;
  readonly folder: string;
  readonly outputs: string;
}

/** Makes the disks that only conversions need. */
export async function convertSteps(context: ConvertContext): Promise<Step[]> {
  const { folder, disk, dataBytes } = context;
  const thin = join(folder, 'thin.vhdx');
  await makeSourceDisk(thin, 256 * GiB, dataBytes);
  return [
    ...conversions(context, disk, ''),
    ...conversions(context, thin, ', thin').filter(({ name }) => !/zstd|-W/.test(name)),
    ...(await sizeSteps(context)),
    ...coldReads(context),
  ];
}

export const CONVERT_RATIOS: Ratio[] = [
  { ours: 'hvlift convert raw', theirs: 'qemu-img convert raw' },
  { ours: 'hvlift convert raw', theirs: `qemu-img convert raw ${PARALLEL.join(' ')}` },
  { ours: 'hvlift convert raw, durable', theirs: 'qemu-img convert raw, durable' },
  { ours: 'hvlift convert qcow2 zstd', theirs: 'qemu-img convert qcow2 zstd' },
  { ours: 'hvlift convert qcow2 zstd', theirs: `qemu-img convert qcow2 zstd ${PARALLEL.join(' ')}` },
  { ours: 'hvlift convert raw, thin', theirs: 'qemu-img convert raw, thin' },
  { ours: 'hvlift read, 64 TiB', theirs: 'hvlift read, 64 GiB' },
  { ours: 'hvlift read, cold', theirs: 'fio read, direct' },
];

function conversions({ dataBytes, outputs }: ConvertContext, disk: string, suffix: string): Step[] {
  const path = join(outputs, 'copy');
  const step = (name: string, program: Pick<Step, 'command' | 'waits'>): Step => ({
    group: 'convert',
    name: `${name}${suffix}`,
    bytes: dataBytes,
    ...program,
    prepare: async () => {
      await emptyFolder(outputs);
      spawnSync('cat', [disk], { stdio: ['ignore', 'ignore', 'inherit'] }); // the cold reads leave it out of the cache
    },
    beforeWork: () => warmPages(outputs, dataBytes),
  });
  const ours = (name: string, request: object): Step =>
    step(`hvlift convert ${name}`, taskStep('convert', { disk, path, ...request }));
  const theirs = (name: string, format: string, options: readonly string[]): Step =>
    step(`qemu-img convert ${name}`, { command: convert(options, format, disk, path) });
  return [
    ours('raw', { format: 'raw', durable: false }),
    theirs('raw', 'raw', []),
    theirs(`raw ${PARALLEL.join(' ')}`, 'raw', PARALLEL),
    ours('raw, durable', { format: 'raw', durable: true }),
    theirs('raw, durable', 'raw', ['-t', 'writeback']),
    ours('qcow2 zstd', { format: 'qcow2-zstd', durable: true }),
    theirs('qcow2 zstd', 'qcow2', ZSTD),
    theirs(`qcow2 zstd ${PARALLEL.join(' ')}`, 'qcow2', [...ZSTD, ...PARALLEL]),
  ];
}

async function sizeSteps({ folder, dataBytes }: ConvertContext): Promise<Step[]> {
  const steps: Step[] = [];
  for (const [name, size] of [
    ['64 GiB', 64 * GiB],
    ['64 TiB', 64 * TiB],
  ] as const) {
    const disk = join(folder, `${name}.vhdx`);
    await makeSourceDisk(disk, size, dataBytes / 2);
    steps.push({
      group: 'convert',
      name: `hvlift read, ${name}`,
      bytes: dataBytes / 2,
      ...taskStep('read', { disk }),
    });
  }
  return steps;
}

/** The file is not in the page cache; fio goes past it. */
function coldReads({ disk, dataBytes }: ConvertContext): Step[] {
  const common = { group: 'convert', bytes: dataBytes, beforeWork: () => forget(disk) } as const;
  const ours = { ...common, name: 'hvlift read, cold', ...taskStep('read', { disk }) };
  const fio = [`--filename=${disk}`, '--name=read', '--rw=read', '--readonly', '--direct=1'];
  const queue = ['--bs=1M', '--ioengine=libaio', '--iodepth=16', `--size=${dataBytes}`];
  return [
    ours,
    {
      ...common,
      name: 'fio read, direct',
      command: ['fio', ...fio, ...queue, '--output-format=json'],
      secondsOf: (output) => (JSON.parse(output) as FioReport).jobs[0].read.runtime / 1000,
    },
  ];
}

/** Milliseconds. */
interface FioReport {
  readonly jobs: readonly [{ readonly read: { readonly runtime: number } }];
}

/** Takes the pages of a file that is on the disk out of the cache. */
async function forget(path: string): Promise<void> {
  spawnSync('sync');
  spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
}

/** What was converted is the source, byte for byte. Not of the thin disk: QEMU compares its holes for minutes. */
export async function checkConverted({ disk, outputs }: ConvertContext): Promise<void> {
  for (const format of ['raw', 'qcow2-zstd'] as const) {
    const path = join(outputs, format);
    await emptyFolder(outputs);
    const request = { disk, path, format, durable: false };
    checkSame(taskCommand('convert', request), disk, format === 'raw' ? 'raw' : 'qcow2', path);
  }
}
