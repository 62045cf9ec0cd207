/** The explanation of one disk of a restore point, in words and tables. */
import { formatBytes } from '../../base/index.ts';
import type { DiskExplanation } from '../../flows/index.ts';
import { bytesCell } from '../numbers.ts';
import { tableLines, type Column } from '../table.ts';

/** A table of everything says less than one of what matters; `--json` has the rest. */
const AREAS_SHOWN = 20;

type Area = DiskExplanation['areas'][number];
type Region = DiskExplanation['regions'][number];

export function whyLines(disk: DiskExplanation, number: number, width: number): string[] {
  const placeOf = placeNames(disk);
  const areas: readonly Column<Area>[] = [
    { title: 'PLACE', dropFirst: 1, cell: placeOf },
    { title: 'AREA', cell: ({ area }) => area },
    { title: 'CHANGED', align: 'right', cell: ({ changedBytes }) => formatBytes(changedBytes) },
    { title: 'USUAL', align: 'right', cell: ({ usualBytes }) => bytesCell(usualBytes) },
    { title: 'WRITTEN', align: 'right', cell: ({ writtenBytes }) => bytesCell(writtenBytes) },
  ];
  const regions: readonly Column<Region>[] = [
    { title: 'LARGEST AT', align: 'right', cell: ({ offset }) => String(offset) },
    { title: 'LENGTH', align: 'right', cell: ({ length }) => formatBytes(length) },
    { title: 'PLACE', dropFirst: 1, cell: placeOf },
    { title: 'AREA', cell: ({ area }) => area },
  ];
  return [
    `disk ${number}, ${disk.path}: ${summary(disk)}`,
    ...disk.volumes.flatMap(volumeNotes),
    ...(disk.areas.length === 0 ? [] : tableLines(areas, disk.areas.slice(0, AREAS_SHOWN), width)),
    ...(disk.regions.length === 0 ? [] : ['', ...tableLines(regions, disk.regions, width)]),
  ];
}

function summary(disk: DiskExplanation): string {
  const { changedBytes, writtenBytes, reportedBytes, overReportedBytes, usualBytes, usualOf } = disk;
  const usually =
    usualBytes === undefined
      ? ''
      : ` (usually ${formatBytes(usualBytes)}, the median of ${usualOf === 1 ? 'one point' : `${usualOf} points`})`;
  const parts = [
    disk.comparedWith === undefined
      ? `${formatBytes(changedBytes)} stored, with no earlier point to compare with`
      : `${formatBytes(changedBytes)} changed since point ${disk.comparedWith}${usually}`,
    ...(writtenBytes === undefined || changedBytes === 0
      ? []
      : [`${formatBytes(writtenBytes)} of it in blocks of 4 KiB that differ`]),
    ...(!reportedBytes || overReportedBytes === undefined
      ? []
      : [
          `the host reported ${formatBytes(reportedBytes)}, of which ${formatBytes(overReportedBytes)} had not changed`,
        ]),
  ];
  return parts.join('; ');
}

function placeNames(disk: DiskExplanation): (each: { readonly partition?: number }) => string {
  return ({ partition }) => {
    const volume = disk.volumes.find((each) => each.partition === partition);
    const number = partition === undefined ? '' : `${partition} `;
    if (!volume) return number.trim();
    return `${number}${volume.fileSystem}${volume.label === '' ? '' : ` ${volume.label}`}`;
  };
}

function volumeNotes({ partition, unreadable, missing }: DiskExplanation['volumes'][number]): string[] {
  const where = partition === undefined ? 'the disk' : `partition ${partition}`;
  return [
    ...(unreadable === undefined ? [] : [`areas of ${where} are not known: ${unreadable}`]),
    ...(missing.length === 0 ? [] : [`in ${where} these could not be located: ${missing.join(', ')}`]),
  ];
}
