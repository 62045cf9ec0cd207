/**
 * What is wrong with a file: every defect, each with its code, as far as the file can be followed.
 *
 *   damage   the disk cannot be read, or not be trusted: opening it throws the same code
 *   notice   the disk reads as it should; one of two copies is gone, or a writer was stopped
 *
 * One file only: its parent is not looked at, nor its payload, of which the format keeps no checksum.
 */
import type { Fault, Warning } from '../base/index.ts';
import { reading, type CallOptions, type RangeReader } from '../disk/index.ts';
import { BlockTable } from './block-table.ts';
import { named, reported, vhdxFaults, type Report } from './faults.ts';
import { HEADER_AREA_SIZE, header } from './format.ts';
import { currentHeader, readHeaderCopies } from './header.ts';
import { PageCache } from './pages.ts';
import { readRegionTables } from './region.ts';
import { infoOf, readStructure, type Structure, type VhdxInfo } from './structure.ts';

export interface VhdxFinding extends Warning {
  readonly severity: 'damage' | 'notice';
}

export interface VhdxCheck {
  /** In the order they were met; the first thousand. */
  readonly findings: readonly VhdxFinding[];
  /** How many more there were. */
  readonly moreFindings: number;
  /** No finding is damage. */
  readonly sound: boolean;
  /** Unless the file could not be followed as far as its metadata. */
  readonly info?: VhdxInfo;
  readonly fileBytes: number;
  /** Bytes of the file that something claims; the rest is room that deleted blocks or a crash left. */
  readonly usedBytes: number;
}

/** A hostile block table has a defect in each of its 2^30 entries. */
const FINDINGS_MAX = 1000;

const NOTICES = new Set([
  'VHDX_HEADER_DAMAGED',
  'VHDX_HEADER_COPIES_DIFFER',
  'VHDX_REGION_TABLE_DAMAGED',
  'VHDX_LOG_NEEDS_REPLAY',
  'VHDX_SIZE_UNALIGNED',
]);

/** Checks a file without changing it. Faults: only `DISK_IO_FAILED` and those of the signal; all others are findings. */
export function checkVhdx(path: string, options: CallOptions = {}): Promise<VhdxCheck> {
  return reading(path, async (reader) => {
    const findings = new Findings(path);
    const report: Report = (defect) => findings.add(defect);
    const seen = await reported(report, () => inspect(reader, path, report, options));
    return {
      findings: findings.list,
      moreFindings: findings.more,
      sound: !findings.damaged,
      ...(seen ? { info: infoOf(seen.structure) } : {}),
      fileBytes: reader.size,
      usedBytes: seen?.usedBytes ?? 0,
    };
  });
}

class Findings {
  readonly list: VhdxFinding[] = [];
  more = 0;
  damaged = false;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  add(defect: Fault): void {
    const severity = NOTICES.has(defect.code) ? 'notice' : 'damage';
    if (severity === 'damage') this.damaged = true;
    if (this.list.length === FINDINGS_MAX) {
      this.more += 1;
      return;
    }
    const { code, message, remedy } = named(defect, this.#path);
    this.list.push({ code, severity, message, remedy });
  }
}

async function inspect(
  reader: RangeReader,
  path: string,
  report: Report,
  options: CallOptions,
): Promise<{ structure: Structure; usedBytes: number }> {
  const structure = await readStructure(reader, path, options, report);
  await compareHeaders(reader, report, options);
  await compareRegionTables(structure.reader, report, options);
  if (structure.replay) report(vhdxFaults.logNeedsReplay({ sectors: structure.replay.pages.size }));
  if (reader.size % HEADER_AREA_SIZE !== 0) report(vhdxFaults.sizeUnaligned({ size: reader.size }));
  const pages = new PageCache().file(structure.reader);
  const table = await reported(report, () => BlockTable.open(structure, pages, options, report));
  let usedBytes = 0;
  for (const { length } of table?.space.taken() ?? []) usedBytes += length;
  return { structure, usedBytes: Math.min(usedBytes, reader.size) };
}

async function compareHeaders(reader: RangeReader, report: Report, options: CallOptions): Promise<void> {
  const copies = await readHeaderCopies(reader, options);
  const current = copies[currentHeader(copies).slot]!;
  for (const [slot, copy] of copies.entries()) {
    if (copy.sequenceNumber === undefined) report(vhdxFaults.headerDamaged({ copy: slot + 1 }));
    else if (!saysTheSame(copy.bytes, current.bytes))
      report(vhdxFaults.headerCopiesDiffer({ copy: slot + 1 }));
  }
}

/** But for checksum and sequence number. */
function saysTheSame(one: Uint8Array, other: Uint8Array): boolean {
  const from = header.fields.fileWriteGuid.offset;
  return Buffer.compare(one.subarray(from), other.subarray(from)) === 0;
}

async function compareRegionTables(reader: RangeReader, report: Report, options: CallOptions): Promise<void> {
  const [first, second] = await readRegionTables(reader, options);
  if (!first) report(vhdxFaults.regionTableDamaged({ copy: 1 }));
  if (!second) report(vhdxFaults.regionTableDamaged({ copy: 2 }));
  if (first && second && Buffer.compare(first, second) !== 0) report(vhdxFaults.regionTablesDiffer());
}
