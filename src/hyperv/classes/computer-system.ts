/** VMs, and the host itself among them: only a VM's Name is a GUID. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_ComputerSystem = cimClass('Msvm_ComputerSystem', {
  properties: {
    CreationClassName: 'string key',
    /** A VM's GUID in the host's own spelling (upper case so far); the host's computer name in its own row. */
    Name: 'string key',
    ElementName: 'string',
    EnabledState: 'uint16',
    /** [0] health; [1], when present and not 0, the operation under way. */
    OperationalStatus: 'uint16[]',
    /** 0 none, 1 primary, 2 replica, 3 test replica, 4 extended replica. */
    ReplicationMode: 'uint16',
    TimeOfLastStateChange: 'datetime',
  },
  methods: { RequestStateChange: { input: { RequestedState: 'uint16' }, output: { Job: 'ref' } } },
});

/** What the guest tells of itself, each item an embedded Msvm_KvpExchangeDataItem as text. */
export const Msvm_KvpExchangeComponent = cimClass('Msvm_KvpExchangeComponent', {
  properties: {
    CreationClassName: 'string key',
    DeviceID: 'string key',
    SystemCreationClassName: 'string key',
    SystemName: 'string key',
    GuestIntrinsicExchangeItems: 'string[]',
  },
});

/** The integration service that lets the host ask the guest for a consistent moment. Absent while the VM is off. */
export const Msvm_VssComponent = cimClass('Msvm_VssComponent', {
  properties: {
    CreationClassName: 'string key',
    DeviceID: 'string key',
    SystemCreationClassName: 'string key',
    SystemName: 'string key',
    EnabledState: 'uint16',
    OperationalStatus: 'uint16[]',
  },
});

/** The integration service that hands the guest a request to shut down. Absent while the VM is off. */
export const Msvm_ShutdownComponent = cimClass('Msvm_ShutdownComponent', {
  properties: {
    CreationClassName: 'string key',
    DeviceID: 'string key',
    SystemCreationClassName: 'string key',
    SystemName: 'string key',
    EnabledState: 'uint16',
    OperationalStatus: 'uint16[]',
  },
  methods: { InitiateShutdown: { input: { Force: 'boolean', Reason: 'string' }, output: {} } },
});
