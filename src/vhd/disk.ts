/** A chain of VHD files as a disk. */
import { ChainDisk } from '../chain/index.ts';
import type { VhdKind } from './footer.ts';
import { SECTOR } from './format.ts';
import type { Layer } from './layer.ts';
import type { VhdNote } from './notes.ts';

export interface VhdChainFile {
  readonly path: string;
  readonly kind: VhdKind;
  readonly uniqueId: string;
  readonly notes: readonly VhdNote[];
}

export class VhdDisk extends ChainDisk {
  readonly logicalSectorSize = SECTOR;
  /** Bytes of a block of the leaf; `undefined` when it is fixed. */
  readonly blockSize: number | undefined;
  readonly kind: VhdKind;
  /**
   * The `uniqueId` of the base. VHD has no identity of the virtual disk: every file has one of its own, and the base's is
   * what checkpoints and their merges leave as it is. A copy of the base has the same.
   */
  readonly virtualDiskId: string;
  /** The files of the chain, leaf first. */
  readonly files: readonly VhdChainFile[];

  /** `layers` are open, leaf first, and belong to this disk from now on. */
  constructor(layers: readonly Layer[]) {
    super(layers);
    const { footer, layout } = layers[0]!.structure;
    this.blockSize = layout?.blockSize;
    this.kind = footer.kind;
    this.files = layers.map(({ structure }) => ({
      path: structure.path,
      kind: structure.footer.kind,
      uniqueId: structure.footer.fields.uniqueId,
      notes: structure.footer.notes,
    }));
    this.virtualDiskId = this.files.at(-1)!.uniqueId;
  }
}
