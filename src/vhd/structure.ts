/** What a single file says about itself: everything but its block table. */
import type { ParentLocator } from '../chain/index.ts';
import type { CallOptions, RangeReader } from '../disk/index.ts';
import { readDynamicHeader, type BlockLayout } from './dynamic-header.ts';
import { vhdFaults } from './faults.ts';
import { readFooter, type Footer, type VhdKind } from './footer.ts';
import { TIMESTAMP_EPOCH } from './format.ts';
import type { Geometry } from './geometry.ts';
import { readLocator } from './locator.ts';
import type { VhdNote } from './notes.ts';

export interface Structure {
  readonly path: string;
  readonly reader: RangeReader;
  readonly footer: Footer;
  /** `undefined` for a fixed disk. */
  readonly layout: BlockLayout | undefined;
  /** Only in a differencing disk. */
  readonly parent: ParentLocator | undefined;
}

export interface VhdInfo {
  readonly kind: VhdKind;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Bytes of a block; `undefined` for a fixed disk. */
  readonly blockSize: number | undefined;
  /** Names the file; a child names its parent by it. A copy has the same. */
  readonly uniqueId: string;
  /** Four characters, as `win ` of Windows and `vpc ` of Virtual PC. */
  readonly creator: string;
  readonly created: Date;
  readonly geometry: Geometry;
  /** `parentLinkage` is the parent's `uniqueId`. */
  readonly parent: ParentLocator | undefined;
  readonly notes: readonly VhdNote[];
}

/** What a file says about itself; its block table and its parents are not looked at. Any `VHD_` fault. */
export async function readVhdInfo(
  reader: RangeReader,
  options: CallOptions & { path?: string } = {},
): Promise<VhdInfo> {
  const { footer, layout, parent } = await readStructure(reader, options.path ?? 'the file', options);
  const { fields } = footer;
  return {
    kind: footer.kind,
    size: footer.size,
    blockSize: layout?.blockSize,
    uniqueId: fields.uniqueId,
    creator: fields.creatorApplication,
    created: new Date(TIMESTAMP_EPOCH + fields.timestamp * 1000),
    geometry: {
      cylinders: fields.cylinders,
      heads: fields.heads,
      sectorsPerTrack: fields.sectorsPerTrack,
    },
    parent,
    notes: footer.notes,
  };
}

export async function readStructure(
  reader: RangeReader,
  path: string,
  options: CallOptions = {},
): Promise<Structure> {
  const footer = await readFooter(reader, path, options);
  if (footer.kind === 'fixed') {
    if (footer.size > footer.dataEnd) {
      throw vhdFaults.truncated({ path, size: footer.dataEnd, what: 'the disk', end: footer.size });
    }
    return { path, reader, footer, layout: undefined, parent: undefined };
  }
  const layout = await readDynamicHeader(reader, footer, path, options);
  const isChild = footer.kind === 'differencing';
  const parent = isChild ? await readLocator(reader, layout.fields, path, options) : undefined;
  return { path, reader, footer, layout, parent };
}
