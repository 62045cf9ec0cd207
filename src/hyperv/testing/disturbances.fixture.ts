/**
 * Every way one call of a flow can go wrong, at every call of it: the flow runs once for each, against a fresh host.
 * What the host does is not disturbed, only what we hear of it, and whether the run is cancelled then.
 */
import { winrmFaults } from '../../winrm/index.ts';
import { rig, type Rig } from './rig.fixture.ts';

export type Disturbance =
  /** The connection breaks before the host does anything. */
  | 'lost before'
  /** The host does it, the answer is lost. */
  | 'lost after'
  /** A 401: the host forgot the log-on and did nothing, or somebody in between says so although it did. */
  | 'turned away before'
  | 'turned away after'
  | 'cancelled before'
  | 'cancelled after';

const DISTURBANCES = [
  'lost before',
  'lost after',
  'turned away before',
  'turned away after',
  'cancelled before',
  'cancelled after',
] as const;

export interface DisturbedRun extends Rig {
  readonly signal: AbortSignal;
  readonly name: string;
  /** Runs the part that is disturbed; undefined when it failed. What comes before and after is left in peace. */
  disturbed<T>(work: () => Promise<T>): Promise<T | undefined>;
}

export type PrepareRig = (rig: Rig) => void;

/** Calls `flow` for each disturbance of each call it makes, until a run ends undisturbed. Returns how many runs were disturbed. */
export async function underEveryDisturbance(
  prepare: PrepareRig,
  flow: (run: DisturbedRun) => Promise<void>,
): Promise<number> {
  let runs = 0;
  for (const disturbance of DISTURBANCES) {
    for (let at = 0; await disturbedOnce(prepare, flow, disturbance, at); at += 1) runs += 1;
  }
  return runs;
}

async function disturbedOnce(
  prepare: PrepareRig,
  flow: (run: DisturbedRun) => Promise<void>,
  disturbance: Disturbance,
  at: number,
): Promise<boolean> {
  const made = rig();
  prepare(made);
  const controller = new AbortController();
  let name = `${disturbance} call ${at}`;
  let calls = -1;
  let started = false;
  made.session.disturb = (call, moment) => {
    if (!started) return;
    if (moment === 'before') calls += 1;
    if (calls !== at || !disturbance.endsWith(moment)) return;
    name += ` (${call})`;
    if (disturbance.startsWith('cancelled')) {
      controller.abort(new Error('cancelled by the test'));
      controller.signal.throwIfAborted();
    }
    if (disturbance.startsWith('turned away')) throw winrmFaults.sessionExpired({ host: 'HV1' });
    throw call.startsWith('invoke')
      ? winrmFaults.effectUnknown({ method: call })
      : winrmFaults.connectionLost({ host: 'HV1', reason: 'test' });
  };
  await flow({
    ...made,
    signal: controller.signal,
    disturbed: async (work) => {
      started = true;
      const result = await work().catch(() => undefined);
      started = false;
      return result;
    },
    get name() {
      return name;
    },
  });
  return calls >= at;
}
