/** The Windows below Hyper-V: its version, the service of Hyper-V, room on the volumes. */
import { formatBytes, GiB, hasCode } from '../base/index.ts';
import { listVolumes, volumeUnder, type HostSurvey, type HostVolume } from '../hyperv/index.ts';
import { cimClass, type CimClass, type CimInstance, type WinrmSession } from '../winrm/index.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, unproved, warning, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';

const namespace = 'root/cimv2';
const Win32_OperatingSystem = cimClass('Win32_OperatingSystem', {
  namespace,
  properties: { Caption: 'string', Version: 'string' },
});
const Win32_Service = cimClass('Win32_Service', {
  namespace,
  properties: { Name: 'string', State: 'string' },
});

const WINDOWS: Check = { id: 'windows', title: 'Windows' };
const VMMS: Check = { id: 'vmms', title: 'service vmms' };
const SPACE: Check = { id: 'space', title: 'free space' };

/** Windows Server 2016, the first with resilient change tracking. */
const BUILD_MIN = 14_393;
const HIDDEN = 'root/cimv2 shows this account nothing';

export interface WindowsLook {
  readonly session: WinrmSession;
  readonly context: FixContext;
  readonly signal: AbortSignal;
}

export async function* windows(look: WindowsLook): AsyncGenerator<Finding, void> {
  yield await version(look);
  yield await vmms(look);
}

async function version(look: WindowsLook): Promise<Finding> {
  const { session, context } = look;
  const [row] = await seen(look, Win32_OperatingSystem, 'SELECT Caption, Version FROM Win32_OperatingSystem');
  // Who may not ask WMI has been told by Identify: `OS: 10.0.20348 SP: 0.0 Stack: 3.0`.
  const number = row?.Version ?? /\bOS: ([\d.]+)/.exec(session.identity?.version ?? '')?.[1];
  if (!number) return unproved(WINDOWS, 'neither Identify nor root/cimv2 tells the version');
  const build = Number(number.split('.')[2] ?? 0);
  if (build >= BUILD_MIN) return ok(WINDOWS, [row?.Caption, number].filter(Boolean).join(' '));
  return failed(WINDOWS, doctorFaults.windowsTooOld({ host: context.host, version: number }), context);
}

async function vmms(look: WindowsLook): Promise<Finding> {
  const query = "SELECT Name, State FROM Win32_Service WHERE Name = 'vmms'";
  const [row] = await seen(look, Win32_Service, query);
  if (!row?.State) return unproved(VMMS, HIDDEN);
  if (row.State === 'Running') return ok(VMMS, 'running');
  return failed(
    VMMS,
    doctorFaults.serviceStopped({ host: look.context.host, state: row.State }),
    look.context,
  );
}

/** Of the volumes that hold disks; on the others nothing of ours is written. */
export async function space(look: WindowsLook, { disks }: HostSurvey): Promise<Finding> {
  const volumes = await listVolumes(look.session, { signal: look.signal });
  if (volumes.length === 0) return unproved(SPACE, HIDDEN);
  const used = new Set(disks.map(({ path }) => volumeUnder(path, volumes)));
  const known = [...used].filter((volume) => volume !== undefined);
  const low = known.filter(({ capacity, free }) => free < Math.min(ROOM_MIN, capacity / 20));
  if (low.length > 0) {
    return warning(SPACE, doctorFaults.spaceLow({ volumes: low.map(described).join(', ') }), look.context);
  }
  const unseen = used.has(undefined) ? '; of cluster volumes and shares nothing is told' : '';
  return ok(SPACE, `${known.map(described).join(', ') || 'no volume of the host holds disks'}${unseen}`);
}

/** A checkpoint takes what its VM writes meanwhile. On a small volume a twentieth is as much as can be asked for. */
const ROOM_MIN = 10 * GiB;

const described = ({ name, free }: HostVolume): string => `${name} has ${formatBytes(free)}`;

/** Empty too where the account may not ask: that a least-rights account is told nothing is no failure of the host. */
async function seen<C extends CimClass>(
  { session, signal }: WindowsLook,
  cls: C,
  query: string,
): Promise<CimInstance<C>[]> {
  try {
    return await Array.fromAsync(session.query(cls, query, { signal }));
  } catch (error) {
    if (hasCode(error, 'WINRM_ACCESS_DENIED', 'WINRM_NOT_FOUND', 'WINRM_CLASS_UNKNOWN', 'WINRM_BAD_FILTER'))
      return [];
    throw error;
  }
}
