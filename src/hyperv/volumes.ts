/**
 * Room on the volumes of a host. A checkpoint takes what its VM writes meanwhile, on the volume of each disk; a volume that
 * fills stops every VM on it.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { CimInstance, CimSession } from '../winrm/index.ts';
import { Win32_Volume } from './classes/volume.ts';

export interface HostVolume {
  /** `C:\`, `C:\ClusterStorage\Volume1\`, or the folder it is mounted in; empty when it is mounted nowhere. */
  readonly name: string;
  /** Bytes. */
  readonly capacity: number;
  /** Bytes. */
  readonly free: number;
}

/** What is said to an account that may not ask Windows; Hyper-V it may ask all the same. */
const HIDDEN = ['WINRM_ACCESS_DENIED', 'WINRM_NOT_FOUND', 'WINRM_CLASS_UNKNOWN', 'WINRM_BAD_FILTER'];

/** Empty when the host tells this account nothing of its volumes. */
export async function listVolumes(session: CimSession, options: CallOptions = {}): Promise<HostVolume[]> {
  const query = 'SELECT Name, Capacity, FreeSpace FROM Win32_Volume';
  try {
    const rows = await Array.fromAsync(session.query(Win32_Volume, query, options));
    return rows.map(volumeOf);
  } catch (error) {
    if (hasCode(error, ...HIDDEN)) return [];
    throw error;
  }
}

function volumeOf({ Name, Capacity, FreeSpace }: CimInstance<typeof Win32_Volume>): HostVolume {
  return { name: Name ?? '', capacity: Number(Capacity ?? 0), free: Number(FreeSpace ?? 0) };
}

/** By the longest name the path begins with: a volume may be mounted in a folder of another. Undefined for shares. */
export function volumeUnder(path: string, volumes: readonly HostVolume[]): HostVolume | undefined {
  const folded = path.toLowerCase();
  // The folder of cluster volumes lies on C:, and what is in it does not.
  if (
    folded.startsWith('c:\\clusterstorage\\') &&
    !volumes.some(({ name }) => /^c:\\clusterstorage\\./i.test(name))
  )
    return undefined;
  return volumes
    .filter(({ name }) => name !== '' && folded.startsWith(name.toLowerCase()))
    .sort((a, b) => b.name.length - a.name.length)[0];
}
