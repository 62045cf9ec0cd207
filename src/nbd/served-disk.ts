/** What a server gives: a disk under a name. */
import type { Disk, RangeWriter } from '../disk/index.ts';

export interface ServedDisk {
  readonly disk: Disk;
  /** Takes what clients write; absent: read-only. It is the same content as `disk`: what was written there is read here. */
  readonly writer?: RangeWriter;
  readonly description?: string;
}
