/** Msvm_VirtualSystemManagementService, and the methods of VMs, their shutdown component and jobs. */
import type { LabInstance, LabMethodResult, LabValue } from '../cim.ts';
import type { HostCore } from './core.ts';
import { LabFailure } from './failure.ts';
import type { GuestProgram } from './guest-program.ts';
import type { Power } from './host-state.ts';
import { errorOf } from './job-rows.ts';
import { JOB_TYPE, type Job } from './jobs.ts';
import type { Machine } from './machine.ts';
import {
  answer,
  checkpointByPath,
  instanceParameter,
  machineByPath,
  notFound,
  numberParameter,
  startChange,
  startJob,
  type Method,
  type MethodCall,
} from './method-call.ts';
import { guidOf, isPath, keyText } from './object-paths.ts';
import { RETURN } from './return-codes.ts';
import { summaryOf } from './summary-rows.ts';

export const managementMethods: Readonly<Record<string, Method>> = {
  ModifySystemSettings(call) {
    const settings = instanceParameter(call, 'SystemSettings');
    if (settings?.className !== 'Msvm_VirtualSystemSettingData') {
      throw new LabFailure(RETURN.invalidParameter, 'SystemSettings');
    }
    const { machine, rename } = renamedBy(call.core, settings);
    const isOfVm = call.core.machine(guidOf(settings.properties['InstanceID']) ?? '') !== undefined;
    return startChange(call, machine, () => {
      refuseWholeInstance(settings);
      const { ElementName: name, Notes: notes, AutomaticStartupAction: start } = settings.properties;
      if (isOfVm && typeof start === 'number') machine.state.startAction = start;
      if (typeof name === 'string') rename(name);
      // Only the first of several notes is kept, and the answer is success all the same (traits, "Nulls and arrays").
      if (Array.isArray(notes)) machine.state.notes = notes.slice(0, 1).map(String);
    });
  },
  GetSummaryInformation(call) {
    const asked = call.parameters['SettingData'];
    const paths = (Array.isArray(asked) ? asked : []).filter(isPath);
    const ids = paths.map((path) => guidOf(path.keys['InstanceID']));
    const machines = [...call.core.machines.values()].filter(
      ({ state }) => ids.length === 0 || ids.includes(state.id),
    );
    const requested = call.parameters['RequestedInformation'];
    const wanted = new Set(Array.isArray(requested) ? requested.map(Number) : []);
    return answer(RETURN.done, {
      SummaryInformation: machines.map((machine) => summaryOf(call.core, machine, wanted)),
    });
  },
};

/** What a client may not send back: a host that gets the complete instance fails the job (traits, "Jobs"). */
const READ_ONLY = ['VirtualSystemType', 'CreationTime', 'ConfigurationID'];

function refuseWholeInstance(settings: LabInstance): void {
  const sent = READ_ONLY.filter((name) => (settings.properties[name] ?? null) !== null);
  if (sent.length > 0) throw new LabFailure(RETURN.invalidParameter, `read-only: ${sent.join(', ')}`);
}

function renamedBy(
  core: HostCore,
  settings: LabInstance,
): { machine: Machine; rename: (name: string) => void } {
  const instanceId = settings.properties['InstanceID'];
  const machine = core.machine(guidOf(instanceId) ?? '');
  if (machine) return { machine, rename: (name) => void (machine.state.name = name) };
  const path = { className: settings.className, keys: { InstanceID: keyText(instanceId) } };
  const found = checkpointByPath(core, path);
  return { machine: found.machine, rename: (name) => void (found.checkpoint.name = name) };
}

interface PowerChange {
  readonly to: Power;
  readonly job: number;
  readonly from: readonly Power[];
}

/** By RequestedState of Msvm_ComputerSystem. What runs is turned off hard: the guest's cache is lost. */
const POWER_CHANGES: Readonly<Record<number, PowerChange>> = {
  2: { to: 'running', job: JOB_TYPE.start, from: ['off', 'saved', 'paused'] },
  3: { to: 'off', job: JOB_TYPE.powerOff, from: ['running', 'saved', 'paused'] },
  6: { to: 'saved', job: JOB_TYPE.save, from: ['running', 'paused'] },
  9: { to: 'paused', job: JOB_TYPE.pause, from: ['running'] },
  11: { to: 'running', job: JOB_TYPE.reset, from: ['running'] },
};

export const computerSystemMethods: Readonly<Record<string, Method>> = {
  RequestStateChange(call) {
    const machine = machineByPath(call.core, call.target);
    const change = POWER_CHANGES[numberParameter(call, 'RequestedState')];
    if (!change) throw new LabFailure(RETURN.notSupported, 'RequestedState');
    if (!change.from.includes(machine.state.power))
      throw new LabFailure(RETURN.invalidState, machine.state.power);
    return startJob(call, {
      type: change.job,
      machine,
      work: async () => {
        await machine.changePower(change.to, call.core.clock.now(), { flushed: false });
        await call.core.save();
        return undefined;
      },
    });
  },
};

export const shutdownMethods: Readonly<Record<string, Method>> = {
  InitiateShutdown: (call) => shutDown(call, 'off'),
  InitiateReboot: (call) => shutDown(call, 'running'),
};

/** Answers at once; the guest writes out its cache, in its own time, and is gone then. */
async function shutDown(call: MethodCall, power: Power): Promise<LabMethodResult> {
  const machine = call.core.machine(call.target.keys['SystemName'] ?? '');
  if (!machine?.isRunning) throw notFound(call.target);
  const { shutdown } = machine.state;
  if (shutdown === 'not-ready' || shutdown === 'disabled')
    throw new LabFailure(RETURN.notReady, 'the guest is not ready');
  if (machine.isLeaving) throw new LabFailure(RETURN.shutdownInProgress, 'a shutdown is in progress');
  if (shutdown === 'locked' && call.parameters['Force'] !== true) {
    throw new LabFailure(RETURN.locked, 'the guest is locked');
  }
  const { clock, options } = call.core;
  const work = async (): Promise<void> => {
    await machine.changePower(power, clock.now(), { flushed: true });
    await call.core.save();
  };
  if (shutdown === 'hangs') machine.leave(forEver);
  else if (machine.program) return shutDownProgram(machine.program, power);
  else if (options.shutdownMs === 0) await work();
  else machine.leave(async (signal) => (await clock.sleep(options.shutdownMs, signal), await work()));
  return answer(RETURN.done);
}

function forEver(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

/** It is off when it has switched itself off, and not before. */
function shutDownProgram(program: GuestProgram, power: Power): LabMethodResult {
  if (power === 'running') throw new LabFailure(RETURN.notSupported, 'a guest that is real is not restarted');
  program.shutDown();
  return answer(RETURN.done);
}

export const jobMethods: Readonly<Record<string, Method>> = {
  GetError: (call) => answer(RETURN.done, single('Error', errorOf(call.core, jobByPath(call)))),
  GetErrorEx(call) {
    const error = errorOf(call.core, jobByPath(call));
    return answer(RETURN.done, error ? { Errors: [error] } : {});
  },
  RequestStateChange(call) {
    const state = numberParameter(call, 'RequestedState');
    if (state !== 4 && state !== 5) throw new LabFailure(RETURN.invalidParameter, 'RequestedState');
    const accepted = call.core.jobs.cancel(jobByPath(call), state);
    return answer(accepted ? RETURN.done : RETURN.invalidState);
  },
};

function single(name: string, value: LabValue | undefined): Record<string, LabValue> {
  return value === undefined ? {} : { [name]: value };
}

function jobByPath(call: MethodCall): Job {
  const job = call.core.jobs.find(call.target.keys['InstanceID'] ?? '');
  if (!job) throw notFound(call.target);
  return job;
}
