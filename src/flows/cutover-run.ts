/** One run of a cutover: what it works with, and where it is. */
import type { Progress, Warning } from '../base/index.ts';
import type { Source } from '../capture/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { HyperV } from '../hyperv/index.ts';
import type { Hypervisor, OwnedMachine } from '../hypervisors/index.ts';
import type { Target } from '../targets/index.ts';
import { saveCutover, type CutoverState } from './cutover-state.ts';
import type { Replica } from './replicate-state.ts';

/** What is asked of the host of the VM. In a cluster every call goes to the node that owns it. */
export type CutoverHost = Pick<
  HyperV,
  'power' | 'shutDown' | 'turnOff' | 'startVm' | 'startAction' | 'setStartAction' | 'destroyReferencePoint'
>;

/** The disks the machine on the other side writes to: over those of the replica, which nobody may write to. */
export interface CutoverClone {
  /** The machine that starts from it, and what that has not of the VM. Makes nothing. */
  describe(replica: Replica): { readonly machine: OwnedMachine; readonly notes: readonly Warning[] };
  /** The same, after whatever could keep it from being made was looked for. */
  plan(replica: Replica, options: CallOptions): Promise<OwnedMachine>;
  /** Made anew, of the last generation; what an earlier attempt left goes. */
  make(replica: Replica, options: CallOptions & { readonly progress: Progress }): Promise<void>;
  /** One that is gone is a success. */
  drop(replica: Replica, options: CallOptions): Promise<void>;
}

export interface CutoverDeps {
  readonly source: Source;
  readonly host: CutoverHost;
  readonly target: Target;
  readonly hypervisor: Hypervisor;
  readonly clone: CutoverClone;
}

export interface CutoverOptions extends CallOptions {
  readonly progress: Progress;
  /** Its guest did not go in time: may its cable be pulled? */
  readonly mayTurnOff: () => Promise<boolean>;
  /** The guest's own refusals (somebody is logged on) do not count. */
  readonly force: boolean;
}

export class CutoverRun {
  readonly deps: CutoverDeps;
  readonly replica: Replica;
  readonly options: CutoverOptions;
  #state: CutoverState;

  constructor(deps: CutoverDeps, replica: Replica, options: CutoverOptions, state: CutoverState) {
    this.deps = deps;
    this.replica = replica;
    this.options = options;
    this.#state = state;
  }

  get state(): CutoverState {
    return this.#state;
  }

  get vmId(): string {
    return this.replica.state.vm.id;
  }

  /** For faults. */
  get about(): { readonly vm: string; readonly replica: string } {
    return { vm: this.replica.state.vm.name, replica: this.replica.id };
  }

  /** Durable once it resolves. A member that is undefined is taken out. */
  async save(changes: Changes): Promise<void> {
    const next = Object.fromEntries(
      Object.entries({ ...this.#state, ...changes }).filter(([, value]) => value !== undefined),
    ) as unknown as CutoverState;
    await saveCutover(this.replica, next);
    this.#state = next;
  }
}

/** To the state, with the step that comes next. */
export type Changes = { readonly [K in keyof CutoverState]?: CutoverState[K] | undefined };
