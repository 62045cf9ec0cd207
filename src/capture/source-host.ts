/** One Hyper-V host as a capture uses it: its classes over WinRM, and its files. */
import type { HostFiles } from '../hostfile/index.ts';
import type { HyperV } from '../hyperv/index.ts';

export interface SourceHost {
  readonly hyperv: HyperV;
  readonly files: HostFiles;
  /** For records and messages. */
  readonly hostName: string;
}
