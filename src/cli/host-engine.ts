/** The part of the engine that works on a host alone: reach it, list its VMs, track changes by hand. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { changesSince, enableRct, ReferencePointLedger, resetRct, tagsOf } from '../flows/index.ts';
import type { AttachedDisk, HyperV, ReferencePoint, Vm } from '../hyperv/index.ts';
import { openDirectoryStore } from '../objectstore/index.ts';
import { hasNativeSshCrypto } from '../ssh/index.ts';
import type {
  DiskChanges,
  Engine,
  HostAccess,
  HostCheck,
  HostReport,
  ReferencePointSummary,
  Task,
  VmSummary,
} from './engine.ts';
import { createJanitorEngine } from './janitor-engine.ts';
import { openHost, type OpenHost } from './open-host.ts';

type HostEngine = Pick<Engine, 'testHost' | 'vms' | 'enableRct' | 'changedBlocks' | 'resetRct' | 'janitor'>;

/** `stateFolder`: where the ledger of reference points made by hand is kept on this machine. */
export function createHostEngine(stateFolder: string): HostEngine {
  const ledger = async (): Promise<ReferencePointLedger> => {
    // A store makes one folder only; on a new machine the folders above are missing too.
    await mkdir(stateFolder, { recursive: true, mode: 0o700 });
    return new ReferencePointLedger(await openDirectoryStore(join(stateFolder, 'rct'), { create: true }));
  };
  return {
    testHost,
    vms: listVms,
    async enableRct({ host, vm }, task) {
      await using opened = await openHost(host, task);
      const made = await enableRct(opened.hyperv, await ledger(), vm, task);
      return await referencePointSummary(opened.hyperv, made.vm, made.point, task);
    },
    changedBlocks,
    ...createJanitorEngine(ledger, join(stateFolder, 'replicas')),
    async resetRct({ host, vm, dryRun }, task) {
      await using opened = await openHost(host, task);
      const options = { signal: task.signal, dryRun };
      const { vm: found, removed } = await resetRct(opened.hyperv, await ledger(), vm, options);
      return { vm: { id: found.id, name: found.name }, removed };
    },
  };
}

async function listVms(access: HostAccess, task: Task): Promise<VmSummary[]> {
  await using opened = await openHost(access, task);
  const summaries: VmSummary[] = [];
  for (const vm of await opened.hyperv.vms(task)) {
    const disks = await opened.hyperv.disks(vm.id, task);
    // Notes may hold anything; only tags are ours to show.
    const { notes, ...facts } = vm;
    const tags = tagsOf(notes);
    summaries.push({ ...facts, tags, disks: disks.length, obstacles: disks.flatMap(obstaclesOf) });
  }
  return summaries;
}

function obstaclesOf(disk: AttachedDisk): string[] {
  const place = `${disk.controller.kind} ${disk.controller.number}:${disk.slot}`;
  if (disk.kind === 'passthrough') return [`disk ${place} is a physical disk of the host`];
  return disk.shared ? [`disk ${place} is shared with other VMs`] : [];
}

async function testHost(access: HostAccess, task: Task): Promise<HostReport> {
  const checks: HostCheck[] = access.ssh ? [sshCipherCheck()] : [];
  const check: Checker = (name, work) => checked({ checks, task }, name, work);
  const opened = await check('sign in', async () => {
    const host = await openHost(access, task);
    const by = access.viaSsh ? ` through SSH by ${access.ssh!.host}` : '';
    return { value: host, detail: `${access.user} at ${access.url}${by}` };
  });
  if (!opened) return { checks };
  try {
    const vms = await check('list virtual machines', async () => {
      const value = await opened.hyperv.vms(task);
      return { value, detail: `${value.length} visible` };
    });
    await check('read a disk file', () => readOneFile(opened, vms ?? [], task));
    const { identity } = opened.session;
    return { ...(identity ? { system: `${identity.vendor} ${identity.version}` } : {}), checks };
  } finally {
    await opened[Symbol.asyncDispose]();
  }
}

function sshCipherCheck(): HostCheck {
  const name = 'ciphers of SSH';
  if (hasNativeSshCrypto()) return { name, detail: 'native' };
  const warning = {
    code: 'SSH_SLOW_CIPHERS',
    message:
      'the native ciphers of SSH are not built for this Node; those in JavaScript are several times slower',
    remedy:
      'with a C++ compiler and Python there, run `npm rebuild ssh2 --ignore-scripts=false` with this Node',
  };
  return { name, detail: 'in JavaScript', warning };
}

type Checker = <T>(name: string, work: () => Promise<{ value: T; detail: string }>) => Promise<T | undefined>;

/** Runs one check; what it throws is its result. A cancelled run stops the whole report. */
async function checked<T>(
  { checks, task }: { readonly checks: HostCheck[]; readonly task: Task },
  name: string,
  work: () => Promise<{ value: T; detail: string }>,
): Promise<T | undefined> {
  // A host that does not answer is waited for: who waits sees for what.
  task.progress.phase(name);
  try {
    const { value, detail } = await work();
    checks.push({ name, detail });
    return value;
  } catch (error) {
    task.signal.throwIfAborted();
    checks.push({ name, detail: '', error });
    return undefined;
  }
}

async function readOneFile(
  host: OpenHost,
  vms: readonly Vm[],
  task: Task,
): Promise<{ value: undefined; detail: string }> {
  for (const vm of vms) {
    const disk = (await host.hyperv.disks(vm.id, task)).find((each) => each.kind === 'virtual');
    if (!disk) continue;
    const reader = await host.files.open(disk.path, task);
    try {
      await reader.read(0, new Uint8Array(Math.min(4096, reader.size)), task);
      return { value: undefined, detail: `${disk.path}; ${host.files.describe()}` };
    } finally {
      await reader.close();
    }
  }
  return { value: undefined, detail: 'no VM with a virtual disk to try it on' };
}

async function* changedBlocks(
  request: { readonly host: HostAccess; readonly vm: string; readonly since: string },
  task: Task,
): AsyncGenerator<DiskChanges> {
  await using opened = await openHost(request.host, task);
  await using changes = await changesSince(opened.hyperv, request.vm, request.since, task);
  let number = 0;
  for (const disk of changes.disks) {
    number += 1;
    yield {
      number,
      id: disk.virtualDiskId ?? disk.attachmentId,
      path: disk.path,
      virtualBytes: disk.size,
      extents: disk.extents,
    };
  }
}

async function referencePointSummary(
  hyperv: HyperV,
  vm: Vm,
  point: ReferencePoint,
  task: Task,
): Promise<ReferencePointSummary> {
  const attached = await hyperv.disks(vm.id, task);
  return {
    id: point.instanceId,
    vm: { id: vm.id, name: vm.name },
    consistency: point.consistency,
    disks: point.disks.map(({ attachmentId, rctId }) => {
      const disk = attached.find((each) => each.attachmentId.toLowerCase() === attachmentId.toLowerCase());
      return { id: attachmentId, path: disk?.path ?? '', rctId };
    }),
  };
}
