/** What is asked of a host while a recorder listens: everything a backup reads of its VMs, and nothing that changes one. */
import { hasCode, isFault } from '../base/index.ts';
import { createHyperV, listJobs, surveyHost, type HyperV, type Vm } from '../hyperv/index.ts';
import type { WinrmSession } from '../winrm/index.ts';

/** Of a large host a few VMs show what there is to be seen, and the file stays small enough to be looked through. */
const VMS_MAX = 10;

export interface InventoryOptions {
  /** By name or id; left out: the first few. */
  readonly vm?: string | undefined;
  readonly signal: AbortSignal;
}

export interface Inventory {
  readonly hostName?: string;
  readonly vms: readonly Vm[];
  /** Those that were asked about in depth. */
  readonly looked: readonly Vm[];
}

/** Faults of single questions are part of the recording; a lost connection or log-on ends it. */
export async function askInventory(
  session: WinrmSession,
  { vm, signal }: InventoryOptions,
): Promise<Inventory> {
  const hyperv = createHyperV(session);
  const { hostName } = await surveyHost(session, { signal });
  const vms = await hyperv.vms({ signal });
  const looked = vm === undefined ? vms.slice(0, VMS_MAX) : [await hyperv.vm(vm, { signal })];
  for (const each of looked) await lookAt(hyperv, each.id, signal);
  await answered(signal, () => listJobs(session, { signal }));
  await answered(signal, () => session.serviceSettings({ signal }));
  return { ...(hostName === undefined ? {} : { hostName }), vms, looked };
}

async function lookAt(hyperv: HyperV, vmId: string, signal: AbortSignal): Promise<void> {
  const call = { signal };
  const disks = (await answered(signal, () => hyperv.disks(vmId, call))) ?? [];
  for (const { kind, path } of disks)
    if (kind === 'virtual') await answered(signal, () => hyperv.diskInfo(path, call));
  for (const checkpoint of (await answered(signal, () => hyperv.checkpoints(vmId, call))) ?? []) {
    await answered(signal, () => hyperv.checkpointDisks(checkpoint, call));
  }
  await answered(signal, () => hyperv.referencePoints(vmId, call));
  await answered(signal, () => hyperv.configuration(vmId, call));
  await answered(signal, () => hyperv.vssReady(vmId, call));
}

async function answered<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    const told = isFault(error) && !hasCode(error, 'WINRM_CONNECTION_LOST', 'WINRM_UNREACHABLE');
    if (told) return undefined;
    throw error;
  }
}
