/**
 * Files of a Hyper-V host, read by the paths the host itself uses.
 *
 *   hyperv says    C:\ClusterStorage\Volume1\db\disk.vhdx
 *   HostFiles      opens those bytes, however they are reached: a mounted share, the host's own file system, a protocol
 *
 * Read-only by design: nothing behind this port can change a host.
 */
import type { CallOptions, RangeReader } from '../disk/index.ts';

export interface HostFiles {
  /**
   * Opens the file the host calls `path`. Case does not matter, as on the host; `\\?\` prefixes are understood.
   *
   * Throws `HOSTFILE_BAD_PATH` (not a full path of a file, or one with `..`), `HOSTFILE_NO_MAPPING`, `HOSTFILE_NO_SHARE` (no way to that
   * folder was configured), `HOSTFILE_NOT_FOUND`, `HOSTFILE_AMBIGUOUS`, `HOSTFILE_NOT_A_FILE`, `HOSTFILE_NO_ACCESS`,
   * `HOSTFILE_NO_ACCESS_OR_HELD` (where the way does not tell one from the other),
   * `HOSTFILE_IN_USE`, `HOSTFILE_UNAVAILABLE`, `HOSTFILE_CLOSED`. The caller closes the reader: an open one keeps the host
   * from merging or deleting the file.
   */
  open(path: string, options?: CallOptions): Promise<RangeReader>;
  /** One line for people: by which way files are reached. Holds no secret. */
  describe(): string;
  /** Closes every reader that is still open, then the way itself. Idempotent. */
  close(): Promise<void>;
}
