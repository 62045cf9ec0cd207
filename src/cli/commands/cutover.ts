/** `hvlift cutover REPLICA`: a replicated VM goes on elsewhere, for good. */
import type { Command } from '@commander-js/extra-typings';
import { formatBytes, formatDuration } from '../../base/index.ts';
import type { CutoverPlan, CutoverRecord } from '../../flows/index.ts';
import type { CutoverAnswers, CutoverCall } from '../cutover-port.ts';
import { EXIT } from '../exit-code.ts';
import { cliFaults } from '../faults.ts';
import { hostOption } from '../options.ts';
import { canPrompt, promptShown } from '../prompt.ts';
import { count } from '../numbers.ts';
import type { Runner, Session } from '../session.ts';
import * as option from './cutover-options.ts';
import { stateFolderOf, stateOption } from './replicate.ts';
import { memoryOption, networkOption, noSecureBootOption } from './serve-machine.ts';

const TEXTS = {
  cleaning: 'stopping after the step under way; nothing is lost',
  leftBehind: 'the cutover stays where it is: go on with --resume, or take it back with --rollback',
};

/** Where there is nothing to take back, or no way. */
const SETTLED: ReadonlySet<string> = new Set([
  'planned',
  'pre-copying',
  'committing',
  'committed',
  'rolled-back',
]);

export function registerCutover(program: Command, run: Runner): void {
  program
    .command('cutover')
    .summary('move a replicated VM to the other side')
    .description(
      'Shows the plan and asks; then brings what is left while the VM runs, shuts its guest down, brings the rest, compares, and ' +
        'starts the VM on the other side from a clone of the replica. Never do both sides run. Whatever interrupts it, ' +
        '--resume goes on and --rollback takes it back.',
    )
    .argument('<replica>', 'its id, the beginning of one, or the name of its VM')
    .addOption(option.onOption)
    .addOption(option.planOption)
    .addOption(option.yesOption)
    .addOption(option.resumeOption)
    .addOption(option.rollbackOption)
    .addOption(option.commitOption)
    .addOption(option.deltaTargetOption)
    .addOption(option.maxPrecopyOption)
    .addOption(option.shutdownTimeOption)
    .addOption(option.forceOption)
    .addOption(option.verifyOption)
    .addOption(option.skipUnprotectableOption)
    .addOption(option.convertOption)
    .addOption(option.untilSerialOption)
    .addOption(option.untilPortOption)
    .addOption(option.runningOption)
    .addOption(option.folderOption)
    .addOption(networkOption)
    .addOption(memoryOption)
    .addOption(noSecureBootOption)
    .addOption(hostOption)
    .addOption(stateOption)
    .action((replica, options) =>
      run(async (session) => {
        const call = await callOf(session, replica, options);
        await session.perform(TEXTS, async (task, endPhase) => {
          const under = { task, endPhase };
          await cutOver(session, call, options, under).catch((error: unknown) =>
            offerRollback(session, call, error, under),
          );
        });
        return EXIT.ok;
      }),
    );
}

async function callOf(
  session: Session,
  replica: string,
  options: option.CutoverOptions,
): Promise<CutoverCall> {
  const action = option.actionOf(options);
  const isNew = action === 'plan' || action === 'begin';
  return {
    replica,
    action,
    host: await session.host(options.host),
    ...(isNew ? { wishes: option.wishesOf(session, options) } : {}),
    commit: options.commit === true,
    force: options.force === true,
    ...stateFolderOf(session, options),
  };
}

interface Under {
  readonly task: Parameters<Session['engine']['cutover']>[1];
  readonly endPhase: () => void;
}

async function cutOver(
  session: Session,
  call: CutoverCall,
  options: option.CutoverOptions,
  { task, endPhase }: Under,
): Promise<void> {
  let planned: CutoverPlan | undefined;
  const answers: CutoverAnswers = {
    agree: async (plan) => {
      planned = plan;
      endPhase();
      if (call.action === 'plan') return false;
      for (const line of planLines(plan)) session.output.say(line);
      return options.yes === true || ask(session, 'Go on? (yes/no) ');
    },
    mayTurnOff: async () => {
      endPhase();
      if (options.force) return true;
      return ask(
        session,
        'The guest did not shut down in time. Pull its cable? What it has not written is lost. (yes/no) ',
      );
    },
  };
  if (call.action === 'rollback' && !options.yes) await agreeToLoss(session, call, { task, endPhase });
  const record = await session.engine.cutover(call, task, answers);
  endPhase();
  if (record) await session.output.result({ ...record }, () => recordLines(record, call.replica));
  else await session.output.result({ plan: planned }, () => planLines(planned!));
}

/** A machine that is well may have been at work for days; a rollback throws away what it wrote. */
async function agreeToLoss(session: Session, call: CutoverCall, { task, endPhase }: Under): Promise<void> {
  const { cutover, vm } = await session.engine.showReplica(placeOf(call), task);
  if (cutover?.step !== 'healthy') return;
  endPhase();
  const name = vm?.name ?? call.replica;
  session.output.say(
    `${name} runs on ${cutover.hypervisor}: what it wrote there is lost when it is taken back`,
  );
  if (!(await ask(session, 'Take it back? (yes/no) '))) throw cliFaults.rollbackDeclined({ vm: name });
}

function placeOf({ replica, stateFolder }: CutoverCall): { replica: string; stateFolder?: string } {
  return { replica, ...(stateFolder === undefined ? {} : { stateFolder }) };
}

/**
 * Its source may be off and the other side not yet there: whoever looks on decides at once. The error stays what it was, whatever
 * becomes of that.
 */
async function offerRollback(
  session: Session,
  call: CutoverCall,
  error: unknown,
  { task, endPhase }: Under,
): Promise<never> {
  endPhase();
  const { replica } = call;
  if (task.signal.aborted || call.action === 'rollback') throw error;
  const { cutover } = await session.engine
    .showReplica(placeOf(call), task)
    .catch(() => ({ cutover: undefined }));
  if (!cutover || SETTLED.has(cutover.step)) throw error;
  session.output.say((error as Error).message);
  session.output.say(`the cutover stays at "${cutover.step}": --resume goes on, --rollback takes it back`);
  if (await ask(session, 'Take it back now, and start the source again? (yes/no) ')) {
    const { wishes: _wishes, ...same } = call;
    const record = await session.engine.cutover({ ...same, action: 'rollback', commit: false }, task, {
      agree: async () => false,
      mayTurnOff: async () => false,
    });
    endPhase();
    for (const line of recordLines(record!, replica)) session.output.say(line);
  }
  throw error;
}

/** Where nobody can answer the answer is no. */
async function ask({ io, output }: Session, question: string): Promise<boolean> {
  if (!canPrompt(io.stdin)) return false;
  const { stdin, interrupts } = io;
  const answer = await promptShown(question, {
    stdin,
    ask: (text) => output.ask(text),
    onInterrupt: () => interrupts.press(),
    signal: interrupts.signal,
  });
  return answer.trim().toLowerCase() === 'yes';
}

function planLines(plan: CutoverPlan): string[] {
  const { vm, generation, hypervisor, choices, forecast } = plan;
  const verify = { sample: 'compare parts of it', full: 'compare all of it', none: 'compare nothing' };
  return [
    `cutover of ${vm.name} (${vm.id}), of which the replica has generation ${generation}, to ${hypervisor}:`,
    `  1. cycles while it runs, until one changes no more than ${formatBytes(choices.deltaTargetBytes)}, at most ${choices.preCopiesMax}`,
    `  2. keep its host from starting it, ask its guest to shut down, wait up to ${formatDuration(choices.shutdownSeconds)}, see it off`,
    `  3. bring what it wrote last; ${verify[choices.verify]}`,
    `  4. clone the replica into ${choices.folder}, define the machine, see the source off once more, start it there`,
    '  5. see that it is well',
    ...(forecast ? forecastLines(forecast) : ['  how long it takes is not known: no cycle tells']),
    ...rehearsalLines(plan),
    ...plan.warnings.flatMap(({ code, message, remedy }) => [`note ${code}: ${message}`, `  do: ${remedy}`]),
  ];
}

function rehearsalLines({ rehearsal }: CutoverPlan): string[] {
  const seconds = rehearsal?.seconds.health;
  if (seconds === undefined)
    return ['  no rehearsal of it was healthy: `hvlift rehearse` shows whether it starts'];
  return [
    `  its last rehearsal, of generation ${rehearsal!.generation}, was well ${formatDuration(seconds)} after its start`,
  ];
}

function forecastLines(forecast: NonNullable<CutoverPlan['forecast']>): string[] {
  const { cycles, seconds, changedBytes, wellSeconds } = forecast;
  const told = ([low, likely, high]: Spread, by: string): string =>
    `${formatDuration(likely)} (${formatDuration(low)} to ${formatDuration(high)} by ${by})`;
  const ofCycles = `${count(cycles, 'cycle')} of ${formatBytes(changedBytes[1])}`;
  return [
    `  off for about ${told(seconds, ofCycles)}, besides the guest's own shutdown and start, and the comparison`,
    ...(wellSeconds ? [`  well again after about ${told(wellSeconds, 'these and its rehearsals')}`] : []),
  ];
}

type Spread = NonNullable<CutoverPlan['forecast']>['seconds'];

function recordLines(record: CutoverRecord, replica: string): string[] {
  const { vm, step, hypervisor, final, verified, downtimeSeconds, offSeconds, healthySeconds } = record;
  const next = `make it final with \`hvlift cutover ${replica} --commit\`, or take it back with --rollback`;
  const ends: Partial<Record<CutoverRecord['step'], string>> = {
    healthy: `${vm.name} runs on ${hypervisor}; ${next}`,
    committed: `${vm.name} runs on ${hypervisor}; its source stays off`,
    'rolled-back': `${vm.name} is on its host again as it was; the replica goes on from where it is`,
  };
  const time = (seconds: number): string => `${seconds.toFixed(1)} s`;
  return [
    ends[step] ?? `${vm.name}: ${step}`,
    ...(final && step !== 'rolled-back'
      ? [
          `  last delta: ${formatBytes(final.changedBytes)} in ${time(final.seconds)}, generation ${final.generation}`,
        ]
      : []),
    ...(verified ? [`  compared: ${formatBytes(verified.comparedBytes)} in ${time(verified.seconds)}`] : []),
    ...(downtimeSeconds === undefined
      ? []
      : [
          `  from asking its guest to go to its start there: ${time(downtimeSeconds)}; ${time(offSeconds!)} of it since it was off`,
        ]),
    ...(healthySeconds === undefined ? [] : [`  well ${time(healthySeconds)} later`]),
    ...(record.turnedOff ? ['  its cable was pulled: its disks are as after a crash'] : []),
  ];
}
