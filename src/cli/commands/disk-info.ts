/** `hvlift disk info`: what a disk file is, and the chain under it. */
import path from 'node:path';
import type { Command } from '@commander-js/extra-typings';
import { formatBytes } from '../../base/index.ts';
import type { DiskFileInfo, DiskInfoRecord } from '../../flows/index.ts';
import { EXIT, exitCodeOfOutcome } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import type { Runner } from '../session.ts';
import { diskFile, parentsOption } from './disk-source.ts';

export function registerDiskInfo(disk: Command, run: Runner): void {
  disk
    .command('info')
    .summary('tell what a disk file is, and its parents')
    .description(
      'Tells format, sizes, identities, the state of the log, and the chain of parents with how each was found. ' +
        'When a parent is missing, the rest is told all the same.',
    )
    .argument('<file>', 'the disk file')
    .addOption(parentsOption)
    .action((file, options) =>
      run(async (session) => {
        const request = diskFile(session, file, options);
        const info = await session.perform(NOTHING_TO_CLEAN, (task) =>
          session.engine.diskInfo(request, task),
        );
        await session.output.result(info, () => lines(info));
        for (const warning of info.warnings) session.output.warn(warning);
        return info.damaged ? EXIT.corrupt : exitCodeOfOutcome(info);
      }),
    );
}

type Fact = readonly [label: string, value: string | undefined];

function lines(info: DiskInfoRecord): string[] {
  return [
    info.path,
    ...factLines([...fileFacts(info), ...heldFacts(info)]),
    ...info.parents.flatMap((parent, index) => [
      `parent ${index + 1}, found by ${foundBy(parent)}: ${parent.path}`,
      ...factLines(fileFacts(parent)),
    ]),
  ];
}

function factLines(facts: readonly Fact[]): string[] {
  return facts.flatMap(([label, value]) => (value === undefined ? [] : [`  ${label.padEnd(16)}${value}`]));
}

function foundBy({ foundBy }: DiskFileInfo): string {
  return foundBy === 'parents folder' ? 'its name in a folder of --parents' : `its ${foundBy}`;
}

const FORMATS = { vhdx: 'VHDX', vhd: 'VHD', raw: 'raw' } as const;

function fileFacts(info: DiskFileInfo): Fact[] {
  const { format, kind, blockSize, created, geometry, trackingFiles } = info;
  return [
    ['format', kind === undefined ? FORMATS[format] : `${FORMATS[format]}, ${kind}`],
    ['virtual size', exactBytes(info.virtualBytes)],
    ['file', `${exactBytes(info.fileBytes)}, ${formatBytes(info.occupiedBytes)} on its volume`],
    ['block size', blockSize === undefined ? undefined : formatBytes(blockSize)],
    ['sectors', sectors(info)],
    ['disk id', info.virtualDiskId],
    ['content id', info.dataWriteGuid],
    ['file id', info.fileWriteGuid ?? info.uniqueId],
    ['created by', info.creator === undefined ? undefined : JSON.stringify(info.creator)],
    ['created', created],
    [
      'geometry',
      geometry &&
        `${geometry.cylinders} cylinders, ${geometry.heads} heads, ${geometry.sectorsPerTrack} sectors`,
    ],
    ['log', format === 'vhdx' ? logState(info) : undefined],
    ['change tracking', trackingFiles.map((file) => path.basename(file)).join(', ') || undefined],
    ...parentFacts(info),
  ];
}

function parentFacts({ parent }: DiskFileInfo): Fact[] {
  if (!parent) return [];
  return [
    ['parent id', [parent.parentLinkage, parent.parentLinkage2].filter(Boolean).join(' or ')],
    ['parent at', parent.relativePath],
    ['or at', parent.absolutePath],
    ['or at', parent.volumePath],
  ];
}

function heldFacts({ heldBytes, heldByChainBytes, parents }: DiskInfoRecord): Fact[] {
  if (heldBytes === undefined || heldByChainBytes === undefined) return [];
  const own = `${exactBytes(heldBytes)} of the disk`;
  return [['holds', parents.length === 0 ? own : `${own}; the chain ${exactBytes(heldByChainBytes)}`]];
}

function sectors({ logicalSectorSize, physicalSectorSize }: DiskFileInfo): string | undefined {
  if (logicalSectorSize === undefined) return undefined;
  const physical = physicalSectorSize === undefined ? '' : `, ${physicalSectorSize} physical`;
  return `${logicalSectorSize} bytes${physical}`;
}

function logState({ replay }: DiskFileInfo): string {
  if (!replay) return 'empty';
  const { sectors, zeroedBytes, fileBytes } = replay;
  const zeros = zeroedBytes === 0 ? '' : `, zeroes ${formatBytes(zeroedBytes)}`;
  const writes = `a replay writes ${count(sectors, 'sector')} of 4 KiB${zeros}`;
  return `not empty, the file was not closed: ${writes}, and the file has ${fileBytes} bytes then`;
}

function exactBytes(bytes: number): string {
  return `${formatBytes(bytes)} (${bytes} bytes)`;
}
