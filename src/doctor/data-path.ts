/**
 * The way to the bytes: one real disk file, opened as a backup would open it.
 *
 * A backup reads frozen files, which the host shares. Without a checkpoint there may be none, and the file of a running VM is held
 * by the host; so frozen files are tried first, then those of VMs that are off, then the others. A file that is held has still
 * been found and reached with the rights to open it.
 */
import { formatBytes, hasCode, isFault, MiB } from '../base/index.ts';
import type { RangeReader } from '../disk/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import type { HostSurvey } from '../hyperv/index.ts';
import { readVhdxInfo } from '../vhdx/index.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, unproved, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';

const DATA_PATH: Check = { id: 'data-path', title: 'disk files' };
/** Of those that are held; one that is not decides at once. */
const TRIES_MAX = 4;
const SIGNATURE = 'vhdxfile';

export interface DataPathOptions {
  readonly files: HostFiles;
  readonly survey: HostSurvey;
  readonly context: FixContext;
  readonly signal: AbortSignal;
}

export async function dataPath(options: DataPathOptions): Promise<Finding> {
  const candidates = candidatesOf(options.survey);
  if (candidates.length === 0) return unproved(DATA_PATH, 'no VM with a VHDX to try it on');
  for (const path of candidates.slice(0, TRIES_MAX)) {
    try {
      return await read(path, options);
    } catch (error) {
      options.signal.throwIfAborted();
      if (!hasCode(error, 'HOSTFILE_IN_USE')) return failed(DATA_PATH, error, options.context);
    }
  }
  return unproved(
    DATA_PATH,
    `${candidates[0]} was found and may be opened, but its VM holds it; a backup reads the file a checkpoint froze, which the host ` +
      'shares. Run this once while a VM is off',
  );
}

/** Best first. */
export function candidatesOf({ vms, disks }: HostSurvey): string[] {
  const states = new Map(vms.map(({ id, state }) => [id, state]));
  const rank = (ownerId: string): number => {
    const state = states.get(ownerId);
    return state === undefined ? 0 : state === 'running' || state === 'paused' ? 2 : 1;
  };
  const vhdx = disks.filter(({ path }) => /\.a?vhdx$/i.test(path));
  return vhdx.sort((a, b) => rank(a.ownerId) - rank(b.ownerId)).map(({ path }) => path);
}

async function read(path: string, { files, context, signal }: DataPathOptions): Promise<Finding> {
  const reader = await files.open(path, { signal });
  try {
    const start = Buffer.alloc(Math.min(MiB, reader.size));
    await reader.read(0, start, { signal });
    const beginning = start.toString('latin1', 0, SIGNATURE.length);
    if (beginning !== SIGNATURE) {
      return failed(
        DATA_PATH,
        doctorFaults.diskNotVhdx({ path, beginning: JSON.stringify(beginning) }),
        context,
      );
    }
    return ok(DATA_PATH, `${path}: ${await described(reader, path, signal)}; ${files.describe()}`);
  } finally {
    await reader.close();
  }
}

/** The file of a running VM changes while it is read: what does not fit together then is no defect. */
async function described(reader: RangeReader, path: string, signal: AbortSignal): Promise<string> {
  const found = `a VHDX of ${formatBytes(reader.size)}`;
  try {
    const { size } = await readVhdxInfo(reader, { path, signal });
    return `${found} for ${formatBytes(size)}`;
  } catch (error) {
    if (isFault(error) && error.code.startsWith('VHDX_')) return found;
    throw error;
  }
}
