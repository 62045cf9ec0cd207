/** The disks of a VM as they are before a checkpoint: what they are, on which files they lie, and what is wrong with them. */
import { hasCode, isFault, mapOrdered, type Fault } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import type { AttachedDisk, DiskInfo, HyperV, Vm } from '../hyperv/index.ts';
import { selectedDisks, type DiskSelection } from './disk-selection.ts';
import { captureFaults } from './faults.ts';
import { slotOf } from './frozen-disks.ts';
import type { SourceHost } from './source-host.ts';

/** Opens under way: a fourth of what SMB servers grant one connection at first. */
const DISKS_AT_ONCE = 4;
const FILES_AT_ONCE = 4;

export interface SurveyedDisk {
  /** From 1, in the host's order. */
  readonly number: number;
  readonly attached: AttachedDisk;
  /** Absent for what is no virtual disk, and where the host could not look. */
  readonly info?: DiskInfo;
  /** Files on the host, leaf first; only the first where the host could not look. */
  readonly files: readonly string[];
  /** The run is about other disks. */
  readonly deselected: boolean;
  /** What a run cannot hold at all, and may leave out. */
  readonly unprotectable?: Fault;
  /** Why the disk cannot be read now. */
  readonly unreachable?: Fault;
}

export interface DiskSurvey extends DiskSelection {
  /** Files of one chain at most. */
  readonly chainMax: number;
}

/** What the host says of one file and no other; everything else is about the host, and no survey goes on after it. */
const OF_ONE_FILE = [
  'HYPERV_DISK_MISSING',
  'HYPERV_DISK_IN_USE',
  'HYPERV_ACCESS_DENIED',
  'HYPERV_OPERATION_FAILED',
];

/** No way leads there, whoever holds the file. */
const NO_WAY = [
  'HOSTFILE_NOT_FOUND',
  'HOSTFILE_NO_MAPPING',
  'HOSTFILE_NO_SHARE',
  'HOSTFILE_NOT_A_FILE',
  'HOSTFILE_BAD_PATH',
  'HOSTFILE_AMBIGUOUS',
  'HOSTFILE_ESCAPED',
];

export async function surveyDisks(
  host: SourceHost,
  vm: Vm,
  asked: DiskSurvey,
  options: CallOptions,
): Promise<SurveyedDisk[]> {
  const looked: Looked[] = [];
  for (const [index, attached] of (await host.hyperv.disks(vm.id, options)).entries())
    looked.push(await look(host.hyperv, { number: index + 1, attached }, asked.chainMax, options));
  const named = looked.map(({ number, info, files }) => ({ number, diskId: info?.virtualDiskId, files }));
  const selected = selectedDisks(vm.name, named, asked);
  const surveyed = mapOrdered(looked, DISKS_AT_ONCE, async (disk): Promise<SurveyedDisk> => {
    const deselected = !selected.has(disk.number);
    return { ...disk, deselected, ...(deselected ? {} : await judged(host, vm, disk, asked, options)) };
  });
  return Array.fromAsync(surveyed);
}

interface Looked {
  readonly number: number;
  readonly attached: AttachedDisk;
  readonly info?: DiskInfo;
  readonly files: readonly string[];
  readonly fault?: Fault;
}

/** A chain costs a question for each of its files, and one of a single file, which most are, none beyond the first. */
async function look(
  hyperv: HyperV,
  disk: Pick<Looked, 'number' | 'attached'>,
  chainMax: number,
  options: CallOptions,
): Promise<Looked> {
  const { path, kind } = disk.attached;
  if (kind === 'passthrough') return { ...disk, files: [path] };
  const files = [path];
  try {
    const info = await hyperv.diskInfo(path, options);
    // One more than allowed tells that it is too deep. A chain that leads back to itself ends here too.
    for (let parent = info.parentPath; parent && files.length <= chainMax;) {
      files.push(parent);
      parent = (await hyperv.diskInfo(parent, options)).parentPath;
    }
    return { ...disk, info, files };
  } catch (error) {
    if (!hasCode(error, ...OF_ONE_FILE)) throw error;
    return { ...disk, files, fault: error };
  }
}

async function judged(
  { files }: SourceHost,
  vm: Vm,
  disk: Looked,
  { chainMax }: DiskSurvey,
  options: CallOptions,
): Promise<Pick<SurveyedDisk, 'unprotectable' | 'unreachable'>> {
  const unprotectable = unprotectableFault(vm.name, disk);
  if (unprotectable) return { unprotectable };
  const unreachable =
    disk.fault ?? tooDeep(vm.name, disk, chainMax) ?? (await unreadable(files, vm, disk, options));
  return unreachable ? { unreachable } : {};
}

function unprotectableFault(vm: string, { attached, info }: Looked): Fault | undefined {
  const disk = slotOf(attached);
  if (attached.kind === 'passthrough')
    return captureFaults.unprotectableDisk({ vm, disk, reason: 'it is a physical disk of the host' });
  if (attached.shared)
    return captureFaults.unprotectableDisk({ vm, disk, reason: 'other VMs may write to it too' });
  if (info?.format !== 'vhdset') return undefined;
  return captureFaults.unreadableFormat({ vm, disk, format: info.format.toUpperCase() });
}

function tooDeep(vm: string, { attached, files }: Looked, most: number): Fault | undefined {
  return files.length > most ? captureFaults.chainTooDeep({ vm, disk: slotOf(attached), most }) : undefined;
}

/**
 * Each file of the chain, opened and closed at once: a way that does not lead there would else be found with a checkpoint on the
 * host.
 */
async function unreadable(
  files: HostFiles,
  vm: Vm,
  { attached, files: paths }: Looked,
  options: CallOptions,
): Promise<Fault | undefined> {
  const isHeld = vm.state !== 'off' && vm.state !== 'saved';
  const refusals = mapOrdered(paths, FILES_AT_ONCE, (path) =>
    refusal(files, path, path === attached.path && isHeld ? HELD : OPEN, options),
  );
  for await (const error of refusals) {
    if (!error) continue;
    const reason = `${error.message} (${error.code})`;
    return captureFaults.diskUnreachable({ vm: vm.name, disk: slotOf(attached), reason }, { cause: error });
  }
  return undefined;
}

/**
 * What decides. The leaf of a VM that runs is held by the host and shared with nobody; a server looks at rights before it looks at
 * sharing, so a lack of rights shows all the same, except by SFTP, where it looks like a file that is held. What the host shares
 * with its guest, the frozen leaf among it, must be readable.
 */
const HELD = [...NO_WAY, 'HOSTFILE_NO_ACCESS'];
const OPEN = [...HELD, 'HOSTFILE_NO_ACCESS_OR_HELD', 'HOSTFILE_IN_USE'];

async function refusal(
  files: HostFiles,
  path: string,
  decides: readonly string[],
  options: CallOptions,
): Promise<Fault | undefined> {
  try {
    await (await files.open(path, options)).close();
    return undefined;
  } catch (error) {
    if (!isFault(error) || !error.code.startsWith('HOSTFILE_')) throw error;
    return decides.includes(error.code) ? error : undefined;
  }
}
