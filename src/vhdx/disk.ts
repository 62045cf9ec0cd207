/** A chain of VHDX files as a disk. */
import { ChainDisk } from '../chain/index.ts';
import type { Layer } from './layer.ts';
import type { VhdxKind } from './metadata.ts';

export interface ChainFile {
  readonly path: string;
  readonly kind: VhdxKind;
  /** The file was not closed cleanly; its log is laid over it in memory. */
  readonly logReplayed: boolean;
  readonly dataWriteGuid: string;
}

export class VhdxDisk extends ChainDisk {
  readonly logicalSectorSize: number;
  readonly physicalSectorSize: number;
  readonly blockSize: number;
  readonly kind: VhdxKind;
  readonly virtualDiskId: string;
  /** The files of the chain, leaf first. */
  readonly files: readonly ChainFile[];

  /** `layers` are open, leaf first, and belong to this disk from now on. */
  constructor(layers: readonly Layer[]) {
    super(layers);
    const leaf = layers[0]!.structure.metadata;
    this.logicalSectorSize = leaf.logicalSectorSize;
    this.physicalSectorSize = leaf.physicalSectorSize;
    this.blockSize = leaf.blockSize;
    this.kind = leaf.kind;
    this.virtualDiskId = leaf.virtualDiskId;
    this.files = layers.map(({ structure }) => ({
      path: structure.path,
      kind: structure.metadata.kind,
      logReplayed: structure.replay !== undefined,
      dataWriteGuid: structure.header.dataWriteGuid,
    }));
  }
}
