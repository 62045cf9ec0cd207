/** One call of a method, and the answers that all methods have in common. */
import { LabWmiError, type LabInstance, type LabMethodResult, type LabPath, type LabValue } from '../cim.ts';
import type { HostCore } from './core.ts';
import { LabFailure } from './failure.ts';
import type { CheckpointState, ReferencePointState } from './host-state.ts';
import { JOB_TYPE } from './jobs.ts';
import type { Machine } from './machine.ts';
import { guidOf, isPath, systemPath } from './object-paths.ts';
import type { Misbehaviour } from './rehearsal.ts';
import { RETURN, WBEM } from './return-codes.ts';

export interface MethodCall {
  readonly core: HostCore;
  readonly target: LabPath;
  readonly parameters: Readonly<Record<string, LabValue>>;
  /** `DOMAIN\user` */
  readonly owner: string;
  readonly misbehaviours: readonly Misbehaviour[];
}

export type Method = (call: MethodCall) => Promise<LabMethodResult> | LabMethodResult;

export function answer(returnValue: number, out: LabMethodResult['out'] = {}): LabMethodResult {
  return { returnValue, out };
}

export interface JobPlan {
  readonly type: number;
  readonly machine: Machine;
  /** OperationalStatus[1] of the VM while the job lives. */
  readonly busy?: number;
  work(): Promise<LabPath | undefined>;
}

/** 4096 and the job. Every other out parameter stays null, as was seen on a host. */
export function startJob(call: MethodCall, plan: JobPlan): LabMethodResult {
  const { machine, busy } = plan;
  if (busy !== undefined) machine.working = busy;
  const job = call.core.jobs.start({
    type: plan.type,
    owner: call.owner,
    affected: systemPath(machine.state.id),
    work: () => plan.work(),
    ended: () => {
      if (busy !== undefined) machine.working = undefined;
    },
    misbehaviours: call.misbehaviours,
  });
  return answer(RETURN.jobStarted, { Job: job.path });
}

/** A job that changes the settings of a VM and nothing else. */
export function startChange(
  call: MethodCall,
  machine: Machine,
  change: () => void,
  type: number = JOB_TYPE.modify,
): LabMethodResult {
  return startJob(call, {
    type,
    machine,
    work: async () => {
      change();
      machine.state.configuredAt = call.core.clock.now();
      await call.core.save();
      return undefined;
    },
  });
}

export function pathParameter(call: MethodCall, name: string): LabPath {
  const value = call.parameters[name];
  if (!isPath(value)) throw new LabFailure(RETURN.invalidParameter, `${name} is no reference`);
  return value;
}

export function textParameter(call: MethodCall, name: string): string {
  const value = call.parameters[name];
  if (typeof value !== 'string' || value === '')
    throw new LabFailure(RETURN.invalidParameter, `${name} is empty`);
  return value;
}

export function numberParameter(call: MethodCall, name: string): number {
  const value = call.parameters[name];
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0) {
    throw new LabFailure(RETURN.invalidParameter, `${name} is no number`);
  }
  return number;
}

/** An embedded instance; `undefined` when there is none, a refusal when the text was none. */
export function instanceParameter(call: MethodCall, name: string): LabInstance | undefined {
  const value = call.parameters[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'object' && 'properties' in value) return value;
  throw new LabFailure(RETURN.invalidParameter, `${name} is no instance`);
}

export function machineByPath(core: HostCore, path: LabPath): Machine {
  const machine = core.machine(path.keys['Name'] ?? '');
  if (!machine) throw notFound(path);
  return machine;
}

export function checkpointByPath(
  core: HostCore,
  path: LabPath,
): { machine: Machine; checkpoint: CheckpointState } {
  const id = guidOf(path.keys['InstanceID']);
  for (const machine of core.machines.values()) {
    const checkpoint = machine.state.checkpoints.find((one) => one.id === id);
    if (checkpoint) return { machine, checkpoint };
  }
  throw notFound(path);
}

export function referencePointByPath(
  core: HostCore,
  path: LabPath,
): { machine: Machine; point: ReferencePointState } {
  const id = guidOf(path.keys['InstanceID']);
  for (const machine of core.machines.values()) {
    const point = machine.state.referencePoints.find((one) => one.id === id);
    if (point) return { machine, point };
  }
  throw notFound(path);
}

export function notFound(path: LabPath): LabWmiError {
  return new LabWmiError(WBEM.notFound, `no ${path.className} with ${JSON.stringify(path.keys)}`);
}
