/**
 * Where an NTFS volume keeps what grows increments: the MFT, the log, the change journal, page and hibernation files,
 * shadow copies.
 *
 *   boot sector ─► $MFT (its own runs) ─► records 1, 2, 6, 7 ─► runs of $MFTMirr, $LogFile, $Bitmap, $Boot
 *                        ├─► root folder ─► pagefile.sys, hiberfil.sys, swapfile.sys, System Volume Information
 *                        └─► $Extend ─► $UsnJrnl:$J
 *
 * The MFT and the bitmap must be readable, or there is no map. Whatever else cannot be located is named in `missing`.
 */
import { isFault } from '../base/index.ts';
import {
  AreaMap,
  AreaRuns,
  type AllocationBitmap,
  type AreaPiece,
  type BitmapPage,
  type VolumeMap,
} from './area-map.ts';
import { damaged } from './faults.ts';
import { ATTRIBUTES, NTFS_RECORDS } from './format.ts';
import { openMft, type FileRuns, type Mft } from './ntfs-mft.ts';
import { entriesOf } from './ntfs-index.ts';
import { attributesOf } from './ntfs-record.ts';
import { readRuns } from './ntfs-runs.ts';
import type { VolumeBytes } from './volume-bytes.ts';

/** Bytes of the bitmap read at once: 128 MiB of a volume with clusters of 4 KiB. */
const BITMAP_PAGE_BYTES = 4096;
/** A shadow copy is a file each; Windows keeps at most 64 of a volume, and some of its own beside them. */
const SHADOW_FILES_MAX = 128;
/** Names of files with the differences of shadow copies hold this identifier of their format. */
const SHADOW_MARK = '{3808876b-c176-4e48-b7ae-04046e6cc752}';

const ROOT_FILES: Readonly<Record<string, string>> = {
  'pagefile.sys': 'pagefile',
  'swapfile.sys': 'pagefile',
  'hiberfil.sys': 'hibernation file',
};

/** Throws `FILESYSTEM_DAMAGED`, `FILESYSTEM_TOO_LARGE`. */
export async function openNtfs(volume: VolumeBytes): Promise<VolumeMap> {
  const mft = await openMft(volume);
  const bitmap = await mft.file(NTFS_RECORDS.bitmap, ATTRIBUTES.data);
  if (!bitmap) throw damaged(volume.name, 'it has no bitmap');
  const missing: string[] = [];
  const runs = new AreaRuns(volume.name);
  runs.add({ area: 'boot', offset: 0, length: mft.clusterBytes });
  for (const run of [...piecesOf(mft, '$MFT', mft.own), ...piecesOf(mft, 'bitmap', bitmap)]) runs.add(run);
  for (const [area, find] of Object.entries(FINDERS)) {
    try {
      for (const run of await find(mft)) runs.add(run);
    } catch (error) {
      if (!isFault(error) || !error.code.startsWith('FILESYSTEM_')) throw error;
      missing.push(area);
    }
  }
  const map = new AreaMap(runs.arranged(), bitmapOf(volume, mft, bitmap));
  return { fileSystem: 'ntfs', label: await labelOf(mft), missing, pieces: (extent) => map.pieces(extent) };
}

const FINDERS: Readonly<Record<string, (mft: Mft) => Promise<AreaPiece[]>>> = {
  $MFT: async (mft) => [
    ...piecesOf(mft, '$MFT', await mft.file(NTFS_RECORDS.mftMirror, ATTRIBUTES.data)),
    ...piecesOf(mft, '$MFT', await mft.file(NTFS_RECORDS.mft, ATTRIBUTES.bitmap)),
  ],
  $LogFile: async (mft) => piecesOf(mft, '$LogFile', await mft.file(NTFS_RECORDS.logFile, ATTRIBUTES.data)),
  boot: async (mft) => piecesOf(mft, 'boot', await mft.file(NTFS_RECORDS.boot, ATTRIBUTES.data)),
  $UsnJrnl: changeJournal,
  'files of the root folder': rootFiles,
};

async function changeJournal(mft: Mft): Promise<AreaPiece[]> {
  for await (const { name, record } of entriesOf(mft, NTFS_RECORDS.extend)) {
    if (name === '$usnjrnl') return piecesOf(mft, '$UsnJrnl', await mft.file(record, ATTRIBUTES.data, '$J'));
  }
  return [];
}

async function rootFiles(mft: Mft): Promise<AreaPiece[]> {
  const pieces: AreaPiece[] = [];
  const seen = new Set<string>();
  for await (const { name, record } of entriesOf(mft, NTFS_RECORDS.root)) {
    if (seen.has(name)) continue;
    const area = ROOT_FILES[name];
    if (area !== undefined) pieces.push(...piecesOf(mft, area, await mft.file(record, ATTRIBUTES.data)));
    if (name === 'system volume information') pieces.push(...(await shadowCopies(mft, record)));
    if (area !== undefined || name === 'system volume information') seen.add(name);
  }
  return pieces;
}

async function shadowCopies(mft: Mft, folder: number): Promise<AreaPiece[]> {
  const pieces: AreaPiece[] = [];
  let files = 0;
  for await (const { name, record } of entriesOf(mft, folder)) {
    if (!name.includes(SHADOW_MARK)) continue;
    files += 1;
    if (files > SHADOW_FILES_MAX) throw damaged(mft.volume.name, 'it has too many shadow copies');
    pieces.push(...piecesOf(mft, 'shadow copies', await mft.file(record, ATTRIBUTES.data)));
  }
  return pieces;
}

function piecesOf({ clusterBytes }: Mft, area: string, file: FileRuns | undefined): AreaPiece[] {
  return (file?.runs ?? []).flatMap(({ cluster, clusters }) =>
    cluster === undefined ? [] : [{ area, offset: cluster * clusterBytes, length: clusters * clusterBytes }],
  );
}

function bitmapOf(volume: VolumeBytes, mft: Mft, file: FileRuns): AllocationBitmap {
  const units = BITMAP_PAGE_BYTES * 8;
  return {
    unitBytes: mft.clusterBytes,
    async page(unit): Promise<BitmapPage> {
      const firstUnit = Math.floor(unit / units) * units;
      const offset = firstUnit / 8;
      const length = Math.max(0, Math.min(BITMAP_PAGE_BYTES, file.dataBytes - offset));
      const bits = new Uint8Array(BITMAP_PAGE_BYTES);
      if (length > 0) bits.set(await readRuns(volume, mft.clusterBytes, file.runs, { offset, length }));
      return { firstUnit, units, bits };
    },
  };
}

async function labelOf(mft: Mft): Promise<string> {
  const record = await mft.record(NTFS_RECORDS.volume);
  for (const attribute of record ? attributesOf(mft.volume, record) : []) {
    if (attribute.type === ATTRIBUTES.volumeName && attribute.value)
      return attribute.value.subarray(0, 256).toString('utf16le');
  }
  return '';
}
