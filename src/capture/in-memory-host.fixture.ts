/**
 * A `HyperV` in memory over real disk files: enough of a host to rehearse the life of a checkpoint and to stop it at any
 * call. It keeps the rule that hurts when it is forgotten: one recovery checkpoint at a time.
 */
import { newGuid } from '../base/index.ts';
import { FileReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import {
  hypervFaults,
  type Checkpoint,
  type HostVolume,
  type HyperV,
  type ReferencePoint,
  type Vm,
} from '../hyperv/index.ts';
import { openVirtualDisk } from '../virtualdisk/index.ts';
import type { CaptureJournal, JournalEntry } from './source.ts';

type CallName = keyof HyperV;

export interface InMemoryHost {
  readonly hyperv: HyperV;
  readonly files: HostFiles;
  vm: Vm;
  vss: { ready: boolean; reason?: string };
  /** What VSS in the guest does once it is asked. */
  guestFails: boolean;
  checkpoints: Checkpoint[];
  points: ReferencePoint[];
  /** Called before and after every call; what it throws is what the call throws. */
  disturb: (call: CallName, when: 'before' | 'after') => void;
  volumes: HostVolume[];
  /** Of every file. */
  fileBytes: number;
  /** Files open for reading now. */
  openFiles: number;
  /** Since when the VM is in its state. */
  runningSince: string;
}

const ATTACHMENT = 'Microsoft:VM\\slot-0';

export function inMemoryHost(path: string): InMemoryHost {
  const host: InMemoryHost = {
    vm: { id: newGuid(), name: 'sql01', state: 'running', configurationVersion: '9.0' },
    vss: { ready: true },
    guestFails: false,
    checkpoints: [],
    points: [],
    disturb: () => {},
    volumes: [],
    fileBytes: 0,
    openFiles: 0,
    runningSince: '2026-11-23T08:00:00.000Z',
    hyperv: undefined as never,
    files: undefined as never,
  };
  return Object.assign(host, { hyperv: disturbed(host, calls(host, path)), files: countingFiles(host) });
}

/** The part of HyperV that capture uses; a test that reaches further fails loudly. */
function calls(host: InMemoryHost, path: string): Partial<HyperV> {
  const disk = {
    attachmentId: ATTACHMENT,
    path,
    controller: { kind: 'scsi', number: 0 },
    slot: 0,
    kind: 'virtual',
    shared: false,
  } as const;
  return {
    vm: async () => host.vm,
    disks: async () => [disk],
    diskInfo: async () => diskInfo(path),
    configuration: async () => ({ name: host.vm.name, security: {}, files: {} }) as never,
    volumes: async () => host.volumes,
    diskFileBytes: async () => host.fileBytes,
    vssReady: async () => host.vss,
    power: async () => ({ state: host.vm.state, changedAt: host.runningSince }),
    checkpoints: async () => [...host.checkpoints],
    checkpointDisks: async () => [{ ...disk, attachmentId: 'Microsoft:CHECKPOINT\\slot-0' }],
    createRecoveryCheckpoint: async (vmId, { consistency, name }) => {
      if (host.checkpoints.some((each) => each.kind === 'recovery'))
        throw hypervFaults.checkpointBlocked({ vm: host.vm.name });
      if (consistency === 'application' && host.guestFails)
        throw hypervFaults.checkpointFailed({ vm: host.vm.name, consistency });
      const checkpoint = {
        instanceId: `Microsoft:${newGuid()}`,
        vmId,
        name,
        kind: 'recovery',
        createdAt: new Date(),
      } as const;
      host.checkpoints.push(checkpoint);
      return checkpoint;
    },
    destroyCheckpoint: async ({ instanceId }) => {
      host.checkpoints = host.checkpoints.filter((each) => each.instanceId !== instanceId);
    },
    convertToReferencePoint: async ({ instanceId, vmId }) => {
      if (host.openFiles > 0) throw new Error('a file of the checkpoint is still open');
      host.checkpoints = host.checkpoints.filter((each) => each.instanceId !== instanceId);
      const point = referencePoint(vmId, host.points.length + 1);
      host.points.push(point);
      return point;
    },
    referencePoints: async () => [...host.points],
    destroyReferencePoint: async ({ instanceId }) => {
      host.points = host.points.filter((each) => each.instanceId !== instanceId);
    },
    changedExtents: async function* () {
      yield { offset: 0, length: 65_536 };
    },
    waitForMerge: async () => 'merged',
    waitUntilIdle: async () => 'idle',
  };
}

export function referencePoint(vmId: string, number: number): ReferencePoint {
  return {
    instanceId: `rp-${number}-${newGuid()}`,
    vmId,
    consistency: 'application',
    disks: [{ attachmentId: ATTACHMENT.toUpperCase(), rctId: `rctX:0:${number}` }],
  } as ReferencePoint;
}

/** As a host does: of a VHD there is no VirtualDiskId. */
async function diskInfo(path: string) {
  const { format, disk } = await openVirtualDisk(path, { open: (file) => FileReader.open(file) });
  await disk.close();
  const id = format === 'vhdx' ? { virtualDiskId: disk.virtualDiskId } : {};
  return { ...id, size: disk.size, format } as never;
}

function disturbed(host: InMemoryHost, inner: Partial<HyperV>): HyperV {
  return new Proxy(inner, {
    get(target, call: CallName) {
      const method = target[call] as ((...args: unknown[]) => unknown) | undefined;
      if (!method) throw new Error(`capture called ${call}, which this host does not have`);
      if (call === 'changedExtents') return method;
      return async (...args: unknown[]) => {
        host.disturb(call, 'before');
        const result = await method(...args);
        host.disturb(call, 'after');
        return result;
      };
    },
  }) as HyperV;
}

function countingFiles(host: InMemoryHost): HostFiles {
  return {
    describe: () => 'files of a test',
    close: async () => {},
    open: async (path) => {
      const reader = await FileReader.open(path);
      host.openFiles += 1;
      let open = true;
      return {
        size: reader.size,
        read: (offset, into, options) => reader.read(offset, into, options),
        close: () => {
          if (open) host.openFiles -= 1;
          open = false;
          return reader.close();
        },
      };
    },
  };
}

export function memoryJournal(consumer = '0a1b2c3d'): CaptureJournal & { kept: JournalEntry[] } {
  const journal = {
    consumer,
    kept: [] as JournalEntry[],
    entries: async (vmId: string) => journal.kept.filter((entry) => entry.vmId === vmId),
    record: async (entry: JournalEntry) => {
      journal.kept.push(entry);
    },
    clear: async (vmId: string, runId: string) => {
      journal.kept = journal.kept.filter((entry) => entry.vmId !== vmId || entry.runId !== runId);
    },
  };
  return journal;
}
