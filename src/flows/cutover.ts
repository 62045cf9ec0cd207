/**
 * Cutover: a replicated VM goes on elsewhere, and never runs on both sides.
 *
 *   plan ─► agreed to ─► cycles until little is left ─► guest shut down, VM seen off ─► last delta ─► verified
 *     ─► clone of the replica ─► machine defined and started ─► healthy ─► committed
 *                                                                  └────► or back: machine gone, source as it was
 *
 * The replica is held by the run from its beginning to its end, so no cycle comes between. Each step is on disk before it is
 * done and can be done again: whoever goes on with a cutover that died needs nothing but its state and the two sides.
 */
import { newGuid } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CutoverChoices } from './cutover-choices.ts';
import { finalDelta, preCopy } from './cutover-cycles.ts';
import { cutoverFaults } from './cutover-faults.ts';
import { planCutover, type CutoverPlan } from './cutover-plan.ts';
import { recordOf, type CutoverRecord } from './cutover-record.ts';
import { CutoverRun, type Changes, type CutoverDeps, type CutoverOptions } from './cutover-run.ts';
import { giveBackSource, now, shutDownSource } from './cutover-source.ts';
import { readCutover, saveCutover, type CutoverState, type CutoverStep } from './cutover-state.ts';
import { cloneThere, commit, defineThere, probeThere, removeThere, startThere } from './cutover-there.ts';
import { verifyReplica } from './cutover-verify.ts';
import { clearRehearsal } from './rehearsal-end.ts';
import { findReplica, Replica } from './replicate-state.ts';

export interface CutoverRequest extends CutoverOptions {
  /** Its id, the beginning of one, or its VM. */
  readonly replica: string;
  readonly stateFolder: string;
  readonly action: 'begin' | 'resume' | 'rollback';
  /** Of `begin`; the others go on with those the cutover was begun with. */
  readonly choices?: CutoverChoices;
  /** Go on past `healthy`, to where there is no way back. */
  readonly commit: boolean;
  /** Asked once, before anything is done. */
  readonly agree: (plan: CutoverPlan) => Promise<boolean>;
}

/** Connects with both sides, by what the cutover was told. Disposed of when the run ends. */
export type CutoverConnect = (
  replica: Replica,
  choices: CutoverChoices,
  options: CallOptions,
) => Promise<CutoverDeps & AsyncDisposable>;

/**
 * Throws what the host, the target and the hypervisor throw, `REPLICA_UNKNOWN`, `REPLICA_BUSY`, and any `CUTOVER_` fault. Whatever
 * it throws, the cutover can be gone on with, or taken back.
 */
export async function cutOver(connect: CutoverConnect, request: CutoverRequest): Promise<CutoverRecord> {
  const found = await findReplica(request.stateFolder, request.replica);
  await using replica = await Replica.hold(request.stateFolder, found.state, request);
  const before = await readCutover(replica.folder);
  mayDo(request, replica, before);
  // Before the source is off, not after: while its machine runs, no delta could be brought to the target.
  if (request.action !== 'rollback') await clearRehearsal(replica, request);
  const choices = before && goesOn(request) ? before.choices : request.choices!;
  await using deps = await connect(replica, choices, request);
  const run = goesOn(request)
    ? new CutoverRun(deps, replica, request, before!)
    : await begin(deps, replica, choices, request);
  if (run === undefined) throw cutoverFaults.declined();
  await (request.action === 'rollback' ? takeBack(run, request) : forward(run, request));
  const record = recordOf(run);
  return record;
}

/** What a cutover would do; changes nothing. Throws as {@link cutOver} does before it begins. */
export async function planOfCutover(
  connect: CutoverConnect,
  request: Pick<CutoverRequest, 'replica' | 'stateFolder' | 'signal'> & { readonly choices: CutoverChoices },
): Promise<CutoverPlan> {
  const { stateFolder, choices } = request;
  const found = await findReplica(stateFolder, request.replica);
  await using replica = await Replica.hold(stateFolder, found.state, request);
  mayDo({ action: 'begin' }, replica, await readCutover(replica.folder));
  await using deps = await connect(replica, choices, request);
  const plan = await planCutover(deps, replica, choices, request);
  return plan;
}

const goesOn = ({ action }: Pick<CutoverRequest, 'action'>): boolean =>
  action === 'resume' || action === 'rollback';

/** What must not be done at the step it is at. */
function mayDo(
  request: Pick<CutoverRequest, 'action'>,
  replica: Replica,
  state: CutoverState | undefined,
): void {
  const about = { vm: replica.state.vm.name, replica: replica.id };
  const step = state?.step;
  if (!replica.state.generation) throw cutoverFaults.notSeeded(about);
  if (step === 'committed') throw cutoverFaults.committed(about);
  const isOpen = step !== undefined && step !== 'rolled-back';
  if (!goesOn(request) && isOpen) throw cutoverFaults.open({ ...about, step });
  if (goesOn(request) && !isOpen) throw cutoverFaults.none(about);
  if (request.action === 'rollback' && step === 'committing') throw cutoverFaults.tooLate({ ...about, step });
  if (request.action === 'resume' && step === 'rolling-back') throw cutoverFaults.undoing(about);
}

/** Undefined when the plan is not agreed to. */
async function begin(
  deps: CutoverDeps,
  replica: Replica,
  choices: CutoverChoices,
  request: CutoverRequest,
): Promise<CutoverRun | undefined> {
  const plan = await planCutover(deps, replica, choices, request);
  if (!(await request.agree(plan))) return undefined;
  const state: CutoverState = { runId: newGuid(), step: 'planned', startedAt: now(), choices };
  await saveCutover(replica, state);
  return new CutoverRun(deps, replica, request, state);
}

type Step = (run: CutoverRun) => Promise<Changes>;

/** What is done at each step; the answer holds the next one. */
const STEPS: Readonly<Record<CutoverStep, Step | 'end'>> = {
  planned: async () => ({ step: 'pre-copying' }),
  'pre-copying': preCopy,
  'shutting-down': shutDownSource,
  'final-delta': finalDelta,
  verifying: verifyReplica,
  cloning: cloneThere,
  defining: defineThere,
  starting: startThere,
  probing: probeThere,
  healthy: 'end',
  committing: commit,
  committed: 'end',
  'rolling-back': 'end',
  'rolled-back': 'end',
};

async function forward(run: CutoverRun, request: CutoverRequest): Promise<void> {
  for (;;) {
    request.signal?.throwIfAborted();
    const { step } = run.state;
    const work = STEPS[step];
    if (work !== 'end') {
      request.progress.phase(step);
      await run.save(await work(run));
    } else if (step === 'healthy' && request.commit) await run.save({ step: 'committing' });
    else return;
  }
}

/** The other side goes first: the source is started when that is seen gone, and not before. */
async function takeBack(run: CutoverRun, { progress }: CutoverRequest): Promise<void> {
  await run.save({ step: 'rolling-back' });
  progress.phase('rolling-back');
  await removeThere(run);
  await giveBackSource(run);
  await run.deps.clone.drop(run.replica, run.options);
  await run.save({ step: 'rolled-back', endedAt: now() });
}
