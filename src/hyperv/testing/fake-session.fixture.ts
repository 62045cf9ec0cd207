/** The CIM operations over a {@link FakeHost}: get, enumerate, the queries this module writes, and its methods. */
import type { CallOptions } from '../../disk/index.ts';
import {
  parseObjectPath,
  parseSpec,
  winrmFaults,
  type CimClass,
  type CimInstance,
  type CimReference,
  type CimSession,
  type EmbeddedInstance,
} from '../../winrm/index.ts';
import { deviceRows, type FakeHost, type FakeVm, type Row } from './fake-host.fixture.ts';

/** `get Msvm_ConcreteJob`, `invoke CreateSnapshot`, … and the moment: before or after the effect. */
export type Disturb = (call: string, moment: 'before' | 'after', input: Row) => void;

const ASSOCIATORS = /^ASSOCIATORS OF \{(.*)\}\s+WHERE AssocClass = (\w+) ResultClass = (\w+)$/s;
const SELECT = /^SELECT \* FROM (\w+) WHERE (\w+) = '((?:[^'\\]|\\.)*)'$/s;

const OWNED = /^SELECT \* FROM (\w+) WHERE InstanceID LIKE 'Microsoft:[-\w]+%'$/;

export class FakeSession implements CimSession {
  readonly host: FakeHost;
  disturb: Disturb = () => {};
  calls: string[] = [];

  constructor(host: FakeHost) {
    this.host = host;
  }

  async get<C extends CimClass>(cls: C, keys: CimReference['keys'], options?: CallOptions) {
    return this.#during(`get ${cls.name}`, { ...keys }, options, () => {
      const row = this.#rows(cls.name).find((one) =>
        Object.entries(keys).every(([name, value]) => same(one[name], value)),
      );
      if (!row) throw winrmFaults.notFound({ resource: cls.name });
      return complete(cls, row);
    });
  }

  async *enumerate<C extends CimClass>(cls: C, options?: CallOptions) {
    yield* await this.#during(`enumerate ${cls.name}`, {}, options, () =>
      this.#all(cls, this.#rows(cls.name)),
    );
  }

  async *query<C extends CimClass>(cls: C, text: string, options?: CallOptions) {
    yield* await this.#during(`query ${cls.name}`, { text }, options, () =>
      this.#all(cls, this.#select(text)),
    );
  }

  async invoke(
    _cls: CimClass,
    keys: CimReference['keys'],
    method: string,
    input: object,
    options?: CallOptions,
  ): Promise<never> {
    const answer = await this.#during(`invoke ${method}`, input as Row, options, () =>
      this.#method(method, input as Row, keys),
    );
    return { Job: null, ...answer } as never;
  }

  async close(): Promise<void> {}

  async #during<T>(call: string, input: Row, options: CallOptions | undefined, work: () => T): Promise<T> {
    this.calls.push(call);
    await new Promise(setImmediate);
    options?.signal?.throwIfAborted();
    this.host.tick();
    this.disturb(call, 'before', input);
    const result = work();
    this.disturb(call, 'after', input);
    options?.signal?.throwIfAborted();
    return result;
  }

  #all<C extends CimClass>(cls: C, rows: readonly Row[]): CimInstance<C>[] {
    return rows.map((row) => complete(cls, row));
  }

  #select(text: string): Row[] {
    const select = SELECT.exec(text);
    if (select) {
      const literal = select[3]!.replace(/\\(.)/gs, '$1');
      return this.#rows(select[1]!).filter((row) => same(row[select[2]!], literal));
    }
    const owned = OWNED.exec(text);
    if (owned) return this.host.parts[owned[1]!] ?? [];
    const [, path, association, result] = ASSOCIATORS.exec(text)!;
    return this.#associated(parseObjectPath(path!), association!, result!);
  }

  #associated(source: CimReference, association: string, result: string): Row[] {
    if (association === 'Msvm_VirtualSystemSettingDataComponent') {
      const rows = this.#devices(source.keys['InstanceID']!);
      if (result === 'Msvm_StorageAllocationSettingData') return rows.sasd;
      if (result === 'Msvm_ResourceAllocationSettingData') return rows.rasd;
      return this.host.parts[result] ?? [];
    }
    const vm = this.host.vmOf(source);
    if (!vm) return [];
    if (association === 'Msvm_SettingsDefineState') return [settingsRow(vm)];
    if (association === 'Msvm_SnapshotOfVirtualSystem') return this.#checkpointRows(vm);
    return pointRows(vm);
  }

  #devices(instanceId: string): { rasd: Row[]; sasd: Row[] } {
    const guid = instanceId.slice('Microsoft:'.length);
    const vm = this.host.vms.find((one) => one.guid === guid);
    if (vm) return deviceRows(guid, vm, vm.disks);
    const reference = { className: '', keys: { InstanceID: instanceId } };
    const found = this.host.checkpointOf(reference);
    return deviceRows(guid, found.vm, found.checkpoint.disks);
  }

  #checkpointRows(vm: FakeVm): Row[] {
    const listed = vm.checkpoints.filter((one) => one.listedAtMs <= this.host.clock.nowMs);
    return listed.map((one) => ({
      InstanceID: `Microsoft:${one.guid}`,
      ElementName: one.name,
      VirtualSystemIdentifier: vm.guid,
      VirtualSystemType: one.type,
      CreationTime: { date: new Date(0) },
    }));
  }

  #rows(className: string): Row[] {
    const { vms, jobs, clock } = this.host;
    switch (className) {
      case 'Msvm_ComputerSystem':
        return [HOST_ROW, ...vms.map((vm) => vmRow(vm, clock.nowMs))];
      case 'Msvm_VirtualSystemSettingData': {
        // Checkpoints first: whoever takes the first row for the settings is caught.
        const checkpoints = vms.flatMap((vm) => this.#everyCheckpoint(vm));
        return [...checkpoints, ...vms.map(settingsRow)];
      }
      case 'Msvm_VssComponent':
        return vms.filter((vm) => vm.vss).map(vssRow);
      case 'Msvm_ShutdownComponent':
        return vms.filter((vm) => vm.enabledState === 2).map(shutdownRow);
      case 'Msvm_AffectedJobElement':
        return jobs.flatMap((job) => affectedRows(job.id, job.created));
      default:
        if (this.host.parts[className]) return this.host.parts[className];
        return jobs
          .filter((job) => job.className === className && job.removedAtMs > clock.nowMs)
          .map((job) => ({
            InstanceID: job.id,
            JobState: job.terminated ? 8 : job.endsAtMs > clock.nowMs ? 4 : job.end.state,
            ErrorCode: job.endsAtMs > clock.nowMs ? 0 : job.end.code,
            ErrorDescription: 'ゲストの\n VSS  ライター',
          }));
    }
  }

  /** By key a checkpoint is found before listings show it. */
  #everyCheckpoint(vm: FakeVm): Row[] {
    const all = vm.checkpoints.map((one) => ({ ...one, listedAtMs: 0 }));
    return this.#checkpointRows({ ...vm, checkpoints: all });
  }

  #method(method: string, input: Row, keys: CimReference['keys']): Row {
    const { host } = this;
    if (method === 'GetVirtualHardDiskSettingData') {
      const SettingData = host.diskInfo(String(input['Path']));
      return SettingData ? { returnValue: 0, SettingData } : { returnValue: 32_779, SettingData: null };
    }
    if (method === 'InitiateShutdown') return this.#shutDown(input, keys);
    if (method === 'RequestStateChange' && keys['InstanceID'] !== undefined) {
      const job = host.jobs.find((one) => one.id === keys['InstanceID'])!;
      if (job.endsAtMs > host.clock.nowMs) job.terminated = true;
      return { returnValue: 0 };
    }
    if (host.refusal !== 0) return { returnValue: host.refusal };
    const effect = this.#effectOf(method, input, keys);
    if (!host.immediate) return { returnValue: 4096, Job: host.startJob(effect) };
    effect();
    return { returnValue: 0 };
  }

  #shutDown(input: Row, keys: CimReference['keys']): Row {
    const vm = this.host.vms.find((one) => one.guid === keys['SystemName'])!;
    vm.asked.push(input['Force'] === true);
    const { answer, goesOffAfterMs } = vm.shutdown;
    const returnValue = answer === 32_781 && input['Force'] === true ? 0 : answer;
    if (returnValue === 0) vm.goesOffAtMs = Math.min(vm.goesOffAtMs, this.host.clock.nowMs + goesOffAfterMs);
    return { returnValue };
  }

  #effectOf(method: string, input: Row, keys: CimReference['keys']): () => CimReference | undefined {
    const { host } = this;
    const reference = (name: string): CimReference => input[name] as CimReference;
    switch (method) {
      case 'CreateSnapshot': {
        const vm = host.vmOf(reference('AffectedSystem'))!;
        const settings = input['SnapshotSettings'] as EmbeddedInstance;
        const consistency = Number(settings.properties['ConsistencyLevel']);
        return () => host.freeze(vm, `${vm.name} - (1970/01/01)`, undefined, consistency);
      }
      case 'DestroySnapshot': {
        const { vm, checkpoint } = host.checkpointOf(reference('AffectedSnapshot'));
        return () => (host.thaw(vm, checkpoint), undefined);
      }
      case 'ConvertToReferencePoint': {
        const { vm, checkpoint } = host.checkpointOf(reference('AffectedSnapshot'));
        return () => host.seal(vm, checkpoint);
      }
      case 'DestroyReferencePoint': {
        const { keys } = reference('AffectedReferencePoint');
        const vm = host.vms.find((one) => one.guid === keys['VirtualSystemIdentifier'])!;
        return () => ((vm.points = vm.points.filter((one) => one.id !== keys['InstanceID'])), undefined);
      }
      case 'ModifySystemSettings': {
        const { properties } = input['SystemSettings'] as EmbeddedInstance;
        const InstanceID = properties['InstanceID'] as string;
        const vm = host.vms.find(({ guid }) => `Microsoft:${guid}` === InstanceID);
        if (vm) return () => ((vm.startAction = Number(properties['AutomaticStartupAction'])), undefined);
        const { checkpoint } = host.checkpointOf({ className: '', keys: { InstanceID } });
        return () => {
          if (!host.ignoresNames) checkpoint.name = properties['ElementName'] as string;
          return undefined;
        };
      }
      case 'RequestStateChange': {
        const vm = host.vms.find((one) => one.guid === keys['Name'])!;
        return () => ((vm.enabledState = Number(input['RequestedState'])), undefined);
      }
      default:
        throw new Error(`the fake host has no ${method}`);
    }
  }
}

const HOST_ROW: Row = {
  CreationClassName: 'Msvm_ComputerSystem',
  Name: 'HV1',
  ElementName: 'HV1',
  EnabledState: 2,
  OperationalStatus: [2],
};

function vmRow(vm: FakeVm, nowMs: number): Row {
  const operation = vm.mergesUntilMs > nowMs ? 32_772 : vm.operation;
  return {
    CreationClassName: 'Msvm_ComputerSystem',
    Name: vm.guid,
    ElementName: vm.name,
    EnabledState: vm.enabledState,
    OperationalStatus: operation === 0 ? [2] : [11, operation],
  };
}

const settingsRow = (vm: FakeVm): Row => ({
  InstanceID: `Microsoft:${vm.guid}`,
  ElementName: vm.name,
  VirtualSystemIdentifier: vm.guid,
  VirtualSystemType: 'Microsoft:Hyper-V:System:Realized',
  VirtualSystemSubType: 'Microsoft:Hyper-V:SubType:2',
  Version: '9.0',
  AutomaticStartupAction: vm.startAction,
});

const shutdownRow = (vm: FakeVm): Row => ({
  SystemName: vm.guid,
  EnabledState: vm.shutdown.enabled,
  OperationalStatus: [vm.shutdown.status],
});

const vssRow = (vm: FakeVm): Row => ({
  SystemName: vm.guid,
  EnabledState: vm.vss!.enabled,
  OperationalStatus: [vm.vss!.status],
});

const pointRows = (vm: FakeVm): Row[] =>
  vm.points.map((point) => ({
    InstanceID: point.id,
    VirtualSystemIdentifier: vm.guid,
    ReferencePointType: point.type,
    ConsistencyLevel: point.consistency,
    VirtualDiskIdentifiers: point.attachments,
    ResilientChangeTrackingIdentifiers: point.rctIds,
  }));

/** As recorded: the affected system first, with effect 0; the created element with effect 5 only at the end. */
function affectedRows(jobId: string, created: CimReference | undefined): Row[] {
  const AffectingElement = { className: 'Msvm_ConcreteJob', keys: { InstanceID: jobId.toLowerCase() } };
  const system = { className: 'Msvm_ComputerSystem', keys: { Name: 'any' } };
  const rows: Row[] = [{ AffectingElement, AffectedElement: system, ElementEffects: [0] }];
  if (created) rows.push({ AffectingElement, AffectedElement: created, ElementEffects: [5] });
  return rows;
}

const same = (a: unknown, b: unknown): boolean => String(a).toLowerCase() === String(b).toLowerCase();

/** Every property of the schema: null where the row has none, empty where it is an array. */
function complete<C extends CimClass>(cls: C, row: Row): CimInstance<C> {
  const names = Object.entries(cls.properties);
  return Object.fromEntries(
    names.map(([name, spec]) => [name, row[name] ?? (parseSpec(spec).array ? [] : null)]),
  ) as CimInstance<C>;
}
