/**
 * Power of a VM: what it is, asking its guest to shut down, pulling its cable, starting it; and whether the host starts it by
 * itself when the host starts.
 *
 *   shutDown ──► the host's shutdown service ──► the guest, in its own time ──► off          asked again while it is on
 *   turnOff  ──► off at once: what the guest had not written is lost
 *
 * `off` is EnabledState 3 and nothing else: a VM that is saved or paused has memory that somebody may go on with. All of these
 * may be called twice.
 */
import { hasCode, isFault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { embedded, wql, type CimInstance } from '../winrm/index.ts';
import { ensureOnHost, isAnswerLost, refusalFault } from './changes-on-host.ts';
import { Msvm_ComputerSystem, Msvm_ShutdownComponent } from './classes/computer-system.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { Msvm_VirtualSystemManagementService } from './classes/snapshot-service.ts';
import { START_ACTIONS } from './configuration.ts';
import { hypervFaults } from './faults.ts';
import { growingPauses, serviceKeys, type Host } from './host.ts';
import type { WaitOptions } from './merge.ts';
import { isWrongState, JOB_STARTED, SUCCEEDED } from './return-codes.ts';
import { currentSettings } from './settings.ts';
import { readVm, vmOf, vmReference, vmRow, type VmState } from './vms.ts';

export interface VmPower {
  readonly state: VmState;
  /** When the state changed last, in the host's own time; absent when it never did, or the host does not tell. */
  readonly changedAt?: string;
}

/** What the host does with the VM when it starts itself: msvm_virtualsystemsettingdata, AutomaticStartupAction. */
export type StartAction = (typeof START_ACTIONS)[keyof typeof START_ACTIONS];

export interface ShutDownOptions extends WaitOptions {
  /** Also when somebody is logged on and the screen is locked. */
  readonly force: boolean;
}

/** Msvm_ComputerSystem.RequestStateChange. */
const REQUESTED = { running: 2, off: 3 } as const;
/** Msvm_ShutdownComponent.InitiateShutdown. */
const NOT_READY = 32_780;
const LOCKED = 32_781;
const IN_PROGRESS = 32_782;
const ENABLED = 2;
/** 3: guest and host speak different versions, and it works. */
const USABLE_STATUS: ReadonlySet<number> = new Set([2, 3]);
/** A guest that overheard the request is asked again; one that is at it answers that it is. */
const ASK_EVERY_MS = 60_000;
/** As of jobs: a host whose network restarts fails a few looks. */
const FAILED_LOOKS_MAX = 5;
const REASON = 'hvlift moves this machine to another host';

/** Asked now. Throws `HYPERV_VM_NOT_FOUND`. */
export async function readPower(host: Host, vmId: string, options: CallOptions): Promise<VmPower> {
  const row = await vmRow(host, vmId, options);
  const changed = row.TimeOfLastStateChange?.date;
  const { state } = vmOf(row);
  return changed === undefined ? { state } : { state, changedAt: changed.toISOString() };
}

/**
 * Asks the guest to shut down until it is off, for `timeoutMs`. Throws `HYPERV_SHUTDOWN_UNAVAILABLE`, `HYPERV_GUEST_LOCKED`,
 * `HYPERV_ACCESS_DENIED`, `HYPERV_OPERATION_FAILED`.
 */
export async function shutDown(
  host: Host,
  vmId: string,
  options: ShutDownOptions,
): Promise<'off' | 'still-on'> {
  const deadline = host.clock.now() + options.timeoutMs;
  for (let asked = false; !(await isOff(host, vmId, options)); asked = true) {
    // A guest that is at it has stopped the service that was asked: only the first refusal counts.
    await askGuest(host, vmId, options).catch((error: unknown) => {
      if (!asked || !hasCode(error, 'HYPERV_SHUTDOWN_UNAVAILABLE', 'HYPERV_GUEST_LOCKED')) throw error;
    });
    const patience = Math.min(deadline, host.clock.now() + ASK_EVERY_MS);
    if (await isOffBy(host, vmId, patience, options)) return 'off';
    if (host.clock.now() >= deadline) return 'still-on';
  }
  return 'off';
}

/** Throws `HYPERV_ACCESS_DENIED`, `HYPERV_WRONG_STATE`, `HYPERV_OPERATION_FAILED`, `HYPERV_EFFECT_MISSING`. */
export async function turnOff(host: Host, vmId: string, options: CallOptions): Promise<void> {
  await changePower(host, vmId, { to: 'off', what: 'turn off the VM' }, options);
}

/** Throws as {@link turnOff}. */
export async function startVm(host: Host, vmId: string, options: CallOptions): Promise<void> {
  await changePower(host, vmId, { to: 'running', what: 'start the VM' }, options);
}

/** Undefined when the host does not tell. */
export async function readStartAction(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<StartAction | undefined> {
  const { AutomaticStartupAction: number } = await currentSettings(host, vmId, options);
  return number === null ? undefined : (START_ACTIONS as Readonly<Record<number, StartAction>>)[number];
}

/** Only this of the settings is sent, so nothing else changes. Throws as {@link turnOff}. */
export async function setStartAction(
  host: Host,
  vmId: string,
  action: StartAction,
  options: CallOptions,
): Promise<void> {
  const { InstanceID } = await currentSettings(host, vmId, options);
  const AutomaticStartupAction = Number(
    Object.entries(START_ACTIONS).find(([, each]) => each === action)![0],
  );
  const SystemSettings = embedded(Msvm_VirtualSystemSettingData, { InstanceID, AutomaticStartupAction });
  const service = Msvm_VirtualSystemManagementService;
  await ensureOnHost(
    host,
    {
      what: 'change when the VM is started by itself',
      call: (call) =>
        host.session.invoke(service, serviceKeys(service), 'ModifySystemSettings', { SystemSettings }, call),
      look: async (_job, call) => (await readStartAction(host, vmId, call)) === action || undefined,
      isBusy: async () => false,
    },
    options,
  );
}

async function changePower(
  host: Host,
  vmId: string,
  { to, what }: { to: keyof typeof REQUESTED; what: string },
  options: CallOptions,
): Promise<void> {
  const { keys } = await vmReference(host, vmId, options);
  const input = { RequestedState: REQUESTED[to] };
  await ensureOnHost(
    host,
    {
      what,
      call: (call) => host.session.invoke(Msvm_ComputerSystem, keys, 'RequestStateChange', input, call),
      look: async (_job, call) => (await readVm(host, vmId, call)).state === to || undefined,
      isBusy: async (call) => (await readVm(host, vmId, call)).busy !== undefined,
    },
    options,
  );
}

async function isOff(host: Host, vmId: string, options: CallOptions): Promise<boolean> {
  return (await readVm(host, vmId, options)).state === 'off';
}

async function isOffBy(host: Host, vmId: string, deadline: number, options: CallOptions): Promise<boolean> {
  let failed = 0;
  for (const pause of growingPauses(host.pollMs)) {
    try {
      if (await isOff(host, vmId, options)) return true;
      failed = 0;
    } catch (error) {
      options.signal?.throwIfAborted();
      const passes = isFault(error) && error.kind === 'retry' && error.code.startsWith('WINRM_');
      if (!passes || (failed += 1) >= FAILED_LOOKS_MAX) throw error;
    }
    const left = deadline - host.clock.now();
    if (left <= 0) return false;
    await host.clock.sleep(Math.min(pause, left), options.signal);
  }
  return false;
}

/** An answer that is lost is no failure: the request may have arrived, and whoever asked looks whether the VM goes off. */
async function askGuest(
  host: Host,
  vmId: string,
  { force, signal }: Pick<ShutDownOptions, 'force' | 'signal'>,
): Promise<void> {
  const options = { signal };
  const component = await shutdownComponent(host, vmId, options);
  if (!component) return;
  const { CreationClassName, DeviceID, SystemCreationClassName, SystemName } = component;
  const keys = { CreationClassName, DeviceID, SystemCreationClassName, SystemName };
  const input = { Force: force, Reason: REASON };
  try {
    const { returnValue } = await host.session.invoke(
      Msvm_ShutdownComponent,
      keys,
      'InitiateShutdown',
      input,
      options,
    );
    refuse(returnValue);
  } catch (error) {
    signal?.throwIfAborted();
    if (!isAnswerLost(error)) throw error;
  }
}

/** A VM that is on its way already is waited for like one that was asked. */
function refuse(code: number): void {
  if (code === SUCCEEDED || code === JOB_STARTED || code === IN_PROGRESS || isWrongState(code)) return;
  if (code === LOCKED) throw hypervFaults.guestLocked({ code });
  if (code === NOT_READY) throw unavailable(`the guest is not ready (code ${code})`);
  throw refusalFault('shut down the guest', { code, text: 'refused at once' });
}

type Component = CimInstance<typeof Msvm_ShutdownComponent>;

/** Undefined when the VM is off, or on its way: then there is nobody to ask. */
async function shutdownComponent(
  host: Host,
  vmId: string,
  options: CallOptions,
): Promise<Component | undefined> {
  const { keys } = await vmReference(host, vmId, options);
  const query = wql`SELECT * FROM Msvm_ShutdownComponent WHERE SystemName = ${keys['Name']!}`;
  const [component] = await Array.fromAsync(host.session.query(Msvm_ShutdownComponent, query, options));
  if (!component) {
    const { state } = await readVm(host, vmId, options);
    if (state === 'off' || state === 'other') return undefined;
    throw unavailable(`the VM is ${state}, and the host shows no shutdown service for it`);
  }
  if (component.EnabledState !== ENABLED) throw unavailable('it is switched off for this VM');
  const status = component.OperationalStatus[0] ?? 0;
  if (!USABLE_STATUS.has(status)) throw unavailable(`the guest does not answer it (status ${status})`);
  return component;
}

const unavailable = (reason: string): Error => hypervFaults.shutdownUnavailable({ reason });
