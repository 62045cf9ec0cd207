/** A model of three kinds of things, enough to show every form the wire can give: VMs, their settings, two services. */
import {
  LabWmiError,
  type LabCaller,
  type LabCimProvider,
  type LabClass,
  type LabInstance,
  type LabMethodResult,
  type LabPath,
  type LabProperty,
  type LabValue,
} from '../cim.ts';

export const VM_ID = 'B637F347-6A0E-4DEC-AF52-BD70CB80A21D';
export const OTHER_VM_ID = '1C0E1F0A-9F3B-4A6C-8E43-6A0BB5C5A001';
const HOST_NAME = 'HV1.lab.example';
export const NAMESPACE = 'root/virtualization/v2';

const key = { type: 'string', key: true } as const;
const string = { type: 'string' } as const;

const computerSystem = labClass('Msvm_ComputerSystem', ['CIM_ComputerSystem', 'CIM_ManagedElement'], {
  CreationClassName: key,
  Name: key,
  ElementName: string,
  EnabledState: { type: 'uint16' },
  OnTimeInMilliseconds: { type: 'uint64' },
  OperationalStatus: { type: 'uint16', array: true },
  StatusDescriptions: { type: 'string', array: true },
  Caption: string,
  InstallDate: { type: 'datetime' },
  TimeOfLastStateChange: { type: 'datetime' },
  ElapsedTime: { type: 'datetime' },
  Cancellable: { type: 'boolean' },
});

const settingData = labClass('Msvm_VirtualSystemSettingData', ['CIM_SettingData', 'CIM_ManagedElement'], {
  InstanceID: key,
  ElementName: string,
  VirtualSystemIdentifier: string,
  Parent: string,
  Notes: { type: 'string', array: true },
  AutomaticStartupActionDelay: { type: 'datetime' },
});

const settingsDefineState = labClass('Msvm_SettingsDefineState', ['CIM_SettingsDefineState'], {
  ManagedElement: { type: 'reference', key: true },
  SettingData: { type: 'reference', key: true },
});

const serviceKeys = { CreationClassName: key, Name: key, SystemCreationClassName: key, SystemName: key };
const echo: Record<string, LabProperty> = {
  Text: string,
  Number: { type: 'uint64' },
  Numbers: { type: 'uint16', array: true },
  Reference: { type: 'reference' },
  Settings: { type: 'embedded' },
  Flag: { type: 'boolean' },
};

const managementService: LabClass = {
  ...labClass('Msvm_VirtualSystemManagementService', ['CIM_VirtualSystemManagementService'], serviceKeys),
  methods: {
    Echo: { in: echo, out: { ...echo, Job: { type: 'reference' } } },
    Summaries: { in: {}, out: { Summaries: { type: 'object', array: true } } },
    Fail: { in: { Status: { type: 'uint32' } }, out: {} },
    Fill: { in: { Count: { type: 'uint32' } }, out: { Values: { type: 'uint64', array: true } } },
    Wait: { in: {}, out: {} },
  },
};
const imageService: LabClass = {
  ...labClass('Msvm_ImageManagementService', [], serviceKeys),
  methods: { Echo: { in: echo, out: echo } },
};

function labClass(
  name: string,
  superclasses: readonly string[],
  properties: Record<string, LabProperty>,
): LabClass {
  return { name, superclasses, properties, methods: {} };
}

export function vm(id: string, name: string, more: Record<string, LabValue> = {}): LabInstance {
  const properties = {
    CreationClassName: 'Msvm_ComputerSystem',
    Name: id,
    ElementName: name,
    EnabledState: 2,
    OnTimeInMilliseconds: 5_833_087_303n,
    OperationalStatus: [2],
    TimeOfLastStateChange: new Date('2026-07-29T14:11:00.019Z'),
    ElapsedTime: { intervalSeconds: 1.00417 },
    ...more,
  };
  return { className: 'Msvm_ComputerSystem', properties };
}

const SETTINGS_ID = `Microsoft:${VM_ID}`;
const SERVICE_KEYS = {
  Name: 'vmms',
  SystemCreationClassName: 'Msvm_ComputerSystem',
  SystemName: 'HV1',
};

export class FixtureProvider implements LabCimProvider {
  readonly namespace = NAMESPACE;
  readonly hostName = HOST_NAME;
  readonly classes = new Map(
    [computerSystem, settingData, settingsDefineState, managementService, imageService].map((cls) => [
      cls.name,
      cls,
    ]),
  );
  readonly calls: {
    target: LabPath;
    method: string;
    parameters: Record<string, LabValue>;
    caller: LabCaller;
  }[] = [];
  vms = [
    vm('HV1', 'HV1', { OnTimeInMilliseconds: null }),
    vm(VM_ID, 'web 01'),
    vm(OTHER_VM_ID, `O'Neil\\"50 %" <仮想> & co`, { InstallDate: new Date('1601-01-01T00:00:00Z') }),
  ];
  /** What a call of Wait waits for. */
  gate: Promise<void> = Promise.resolve();
  /** Done by every method before it answers. */
  beforeAnswer: () => void = () => undefined;

  async instances(className: string): Promise<readonly LabInstance[]> {
    return this.#all().filter((instance) => {
      const cls = this.classes.get(instance.className)!;
      return [cls.name, ...cls.superclasses].includes(className);
    });
  }

  async invoke(
    target: LabPath,
    method: string,
    parameters: Record<string, LabValue>,
    caller: LabCaller,
  ): Promise<LabMethodResult> {
    this.calls.push({ target, method, parameters, caller });
    this.beforeAnswer();
    if (method === 'Fail') throw new LabWmiError(Number(parameters['Status']), 'told to fail');
    if (method === 'Wait') await this.gate;
    if (method === 'Summaries') return { returnValue: 0, out: { Summaries: this.vms } };
    if (method === 'Fill') {
      const Values = Array.from({ length: Number(parameters['Count']) }, () => 2n ** 63n);
      return { returnValue: 0, out: { Values } };
    }
    return { returnValue: 0, out: parameters };
  }

  #all(): LabInstance[] {
    const settings: LabInstance = {
      className: 'Msvm_VirtualSystemSettingData',
      properties: {
        InstanceID: SETTINGS_ID,
        ElementName: 'web 01',
        VirtualSystemIdentifier: VM_ID,
        Parent: { className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: `${SETTINGS_ID}\\0` } },
        Notes: ['one', ''],
        AutomaticStartupActionDelay: { intervalSeconds: 30 },
      },
    };
    const state: LabInstance = {
      className: 'Msvm_SettingsDefineState',
      properties: {
        ManagedElement: {
          className: 'Msvm_ComputerSystem',
          keys: { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID },
        },
        SettingData: { className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: SETTINGS_ID } },
      },
    };
    return [...this.vms, settings, state, this.#service(managementService), this.#service(imageService)];
  }

  #service({ name }: LabClass): LabInstance {
    return { className: name, properties: { CreationClassName: name, ...SERVICE_KEYS } };
  }
}
