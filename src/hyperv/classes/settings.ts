/** Settings of a VM or of a checkpoint: one instance for the machine and one for each device. */
import { cimClass } from '../../winrm/index.ts';

export const Msvm_VirtualSystemSettingData = cimClass('Msvm_VirtualSystemSettingData', {
  properties: {
    InstanceID: 'string key',
    ElementName: 'string',
    VirtualSystemIdentifier: 'string',
    /** `Microsoft:Hyper-V:System:Realized` for current settings, `Microsoft:Hyper-V:Snapshot:…` for checkpoints. */
    VirtualSystemType: 'string',
    VirtualSystemSubType: 'string',
    Version: 'string',
    CreationTime: 'datetime',
    Notes: 'string[]',
    ConfigurationID: 'string',
    ConfigurationDataRoot: 'string',
    ConfigurationFile: 'string',
    GuestStateFile: 'string',
    BIOSGUID: 'string',
    BIOSSerialNumber: 'string',
    BootOrder: 'uint16[]',
    SecureBootEnabled: 'boolean',
    SecureBootTemplateId: 'string',
    /** Generation 2: object paths of boot sources. */
    BootSourceOrder: 'string[]',
    NetworkBootPreferredProtocol: 'uint16',
    PauseAfterBootFailure: 'boolean',
    BIOSNumLock: 'boolean',
    GuestStateDataRoot: 'string',
    SnapshotDataRoot: 'string',
    SwapFileDataRoot: 'string',
    VirtualNumaEnabled: 'boolean',
    ConsoleMode: 'uint16',
    AutomaticStartupAction: 'uint16',
    AutomaticStartupActionDelay: 'datetime',
    AutomaticStartupActionSequenceNumber: 'uint16',
    AutomaticShutdownAction: 'uint16',
    AutomaticRecoveryAction: 'uint16',
    AutomaticCriticalErrorAction: 'uint16',
    UserSnapshotType: 'uint16',
    AutomaticSnapshotsEnabled: 'boolean',
  },
});

/** Controllers, drives, and disks of the host passed through to the VM. */
export const Msvm_ResourceAllocationSettingData = cimClass('Msvm_ResourceAllocationSettingData', {
  properties: {
    InstanceID: 'string key',
    ResourceSubType: 'string',
    HostResource: 'string[]',
    /** Object path of the controller a drive hangs on. */
    Parent: 'string',
    /** IDE controllers: `0` or `1`. SCSI controllers have none and are numbered by their order. */
    Address: 'string',
    /** Slot of a drive on its controller. */
    AddressOnParent: 'string',
  },
});

/** The medium in a drive: a virtual disk or an image of a CD. */
export const Msvm_StorageAllocationSettingData = cimClass('Msvm_StorageAllocationSettingData', {
  properties: {
    /** Names the place of attachment, not the file: it stays when the disk in the slot is swapped. */
    InstanceID: 'string key',
    ResourceSubType: 'string',
    /** [0] is the path of the file on the host. */
    HostResource: 'string[]',
    /** Object path of the drive. */
    Parent: 'string',
    /** True for a disk that several VMs share. */
    PersistentReservationsSupported: 'boolean',
  },
});
