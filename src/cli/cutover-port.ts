/** The part of the engine's port that moves a replicated VM to the other side for good. */
import type { CutoverChoices, CutoverPlan, CutoverRecord, FailbackRecord } from '../flows/index.ts';
import type { HostAccess, Task } from './engine.ts';
import type { ReplicaCall } from './replicate-port.ts';

/** Left out: a folder beside those of the replicas. */
export type CutoverWishes = Omit<CutoverChoices, 'folder'> & { readonly folder?: string };

export interface CutoverCall extends ReplicaCall {
  readonly host: HostAccess;
  readonly action: 'plan' | 'begin' | 'resume' | 'rollback';
  /** With `plan` and `begin`. */
  readonly wishes?: CutoverWishes;
  /** On past `healthy`. */
  readonly commit: boolean;
  readonly force: boolean;
}

/** What a cutover asks while it works. */
export interface CutoverAnswers {
  /** Not asked by `plan`, which only tells. */
  readonly agree: (plan: CutoverPlan) => Promise<boolean>;
  /** The guest did not go in time. */
  readonly mayTurnOff: () => Promise<boolean>;
}

export interface FailbackCall extends ReplicaCall {
  /** For the VHDX files; absolute. */
  readonly to: string;
}

export interface CutoverEngine {
  /** Undefined after a plan: `agree` got it. */
  cutover(call: CutoverCall, task: Task, answers: CutoverAnswers): Promise<CutoverRecord | undefined>;
  /** What the machine on the other side has on its disks, as VHDX files. Needs no host. */
  failBack(call: FailbackCall, task: Task): Promise<FailbackRecord>;
}
