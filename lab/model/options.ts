/** What of the emulated host can be set, at the start or while it runs. */
import { KiB, MiB } from '../../src/base/index.ts';
import { DEFAULT_WINDOWS, type WindowsFacts } from '../windows/index.ts';
import type { ReportOptions } from './change-report.ts';
import type { ReturnCodes } from './return-codes.ts';

export interface LabOptions {
  /** Of all texts the host makes. Clients must not read them. */
  readonly language: 'ja-JP' | 'en-US';
  /** How long a job stays in each state; its effect happens at the beginning of "running". */
  readonly job: { readonly newMs: number; readonly startingMs: number; readonly runningMs: number };
  /** After this a finished job is gone. A real host: 5 minutes. */
  readonly jobRemovalMs: number;
  /** Between the end of a checkpoint and the merge of its AVHDX. */
  readonly mergeDelayMs: number;
  /** How long a new checkpoint or reference point is missing from listings by association; up to 15 s were seen. */
  readonly listingDelayMs: number;
  /** How long VMMS waits for a guest whose VSS does not answer. */
  readonly vssTimeoutMs: number;
  /** How long a scripted guest takes to shut down, once its host's service has asked it to. */
  readonly shutdownMs: number;
  readonly changes: ReportOptions;
  /** Bytes of one region of the table that survives an unclean stop. Takes effect for disks opened afterwards. */
  readonly regionBytes: number;
  /** GetVirtualDiskChanges refuses a ByteLength that is the whole disk, as its page says. */
  readonly strictByteLength: boolean;
  /** Tracking ids stay known when no reference point or checkpoint refers to them. */
  readonly keepUnreferencedIds: boolean;
  /**
   * Tracking ids of after a checkpoint, once a user went back to it: refused, or answered as if nothing had been undone, which is
   * wrong. What Windows does is not documented.
   */
  readonly undoneIds: 'refused' | 'answered';
  /** Reference points name one tracking id too few. */
  readonly unequalReferencePoints: boolean;
  /** In which of the two documented families services refuse; a client has to understand both. */
  readonly returnCodes: ReturnCodes;
  /** The Windows the host runs on. */
  readonly windows: WindowsFacts;
  /** New disks go into a folder of this one, named like their VM. */
  readonly disksFolder: string;
}

/** Nested groups may be given in part. */
export type LabSettings = {
  readonly [K in keyof LabOptions]?: LabOptions[K] extends object ? Partial<LabOptions[K]> : LabOptions[K];
};

export const DEFAULT_OPTIONS: LabOptions = {
  language: 'ja-JP',
  job: { newMs: 20, startingMs: 30, runningMs: 250 },
  jobRemovalMs: 300_000,
  mergeDelayMs: 1500,
  listingDelayMs: 0,
  vssTimeoutMs: 60_000,
  shutdownMs: 2_000,
  changes: {
    granularityBytes: 64 * KiB,
    order: 'sorted',
    coalesce: true,
    overlapping: false,
    overReport: 0,
    underReport: 0,
    pastEnd: false,
    rangesMax: 4096,
    seed: 1,
  },
  regionBytes: 4 * MiB,
  strictByteLength: false,
  keepUnreferencedIds: false,
  undoneIds: 'refused',
  unequalReferencePoints: false,
  returnCodes: 'hyperv',
  windows: DEFAULT_WINDOWS,
  disksFolder: String.raw`C:\VMs`,
};

/** Nothing waits: jobs and merges take as long as their work. For tests. */
export const INSTANT: LabSettings = {
  job: { newMs: 0, startingMs: 0, runningMs: 0 },
  mergeDelayMs: 0,
  shutdownMs: 0,
};

export function withSettings(options: LabOptions, settings: LabSettings): LabOptions {
  return {
    ...options,
    ...settings,
    job: { ...options.job, ...settings.job },
    changes: { ...options.changes, ...settings.changes },
    windows: { ...options.windows, ...settings.windows },
  };
}
