/** What GetSummaryInformation tells of a VM: only what was asked for, by the numbers of its page. */
import type { LabInstance, LabValue } from '../cim.ts';
import type { HostCore } from './core.ts';
import type { Machine } from './machine.ts';
import { settingsPath } from './object-paths.ts';
import { enabledState } from './system-rows.ts';

export function summaryOf(core: HostCore, machine: Machine, wanted: ReadonlySet<number>): LabInstance {
  const properties: Record<string, LabValue> = { InstanceID: `Microsoft:${machine.state.id}` };
  for (const [number, name, value] of FACTS) if (wanted.has(number)) properties[name] = value(core, machine);
  return { className: 'Msvm_SummaryInformation', properties };
}

type Fact = readonly [
  number: number,
  property: string,
  value: (core: HostCore, machine: Machine) => LabValue,
];

const FACTS: readonly Fact[] = [
  [0, 'Name', (_, { state }) => state.id],
  [1, 'ElementName', (_, { state }) => state.name],
  [2, 'CreationTime', (_, { state }) => new Date(state.createdAt)],
  [3, 'Notes', (_, { state }) => state.notes[0] ?? ''],
  [4, 'NumberOfProcessors', (_, { state }) => state.processors],
  [10, 'Version', (_, { state }) => state.version],
  [11, 'Shielded', () => false],
  [100, 'EnabledState', (_, { state }) => enabledState(state.power)],
  [103, 'MemoryUsage', (_, machine) => BigInt(machine.isRunning ? machine.state.memoryMiB : 0)],
  [104, 'Heartbeat', (_, machine) => (machine.isRunning ? 2 : 12)],
  [105, 'UpTime', upTime],
  [106, 'GuestOperatingSystem', () => ''],
  [107, 'Snapshots', (_, { state }) => state.checkpoints.map(({ id }) => settingsPath(id))],
  [108, 'AsynchronousTasks', runningJobs],
  [109, 'HealthState', () => 5],
  [110, 'OperationalStatus', operationalStatus],
];

function upTime(core: HostCore, { state }: Machine): LabValue {
  const since = state.power === 'running' ? state.powerChangedAt : undefined;
  return BigInt(since === undefined ? 0 : core.clock.now() - since);
}

function runningJobs(core: HostCore, { state }: Machine): LabValue {
  return core.jobs
    .visible()
    .filter((job) => job.finishedAt === undefined && job.request.affected.keys['Name'] === state.id)
    .map((job) => job.path);
}

function operationalStatus(core: HostCore, machine: Machine): LabValue {
  const busy = core.busyWith(machine);
  return busy === undefined ? [2] : [2, busy];
}
