/** Every class of the emulated namespace by name. */
import type { LabClass } from '../cim.ts';
import { associations } from './associations.ts';
import { computerSystem } from './computer-system.ts';
import {
  bootSourceSettingData,
  deviceSettings,
  ethernetSwitchPortVlanSettingData,
  securitySettingData,
  virtualEthernetSwitch,
} from './devices.ts';
import { kvpExchangeComponent, shutdownComponent, vssComponent } from './guest-components.ts';
import { concreteJob, msvmError, storageJob } from './jobs.ts';
import {
  imageManagementService,
  managementService,
  referencePointService,
  snapshotService,
} from './services.ts';
import {
  managementServiceSettingData,
  resourceAllocationSettingData,
  storageAllocationSettingData,
  virtualSystemReferencePoint,
  virtualSystemReferencePointSettingData,
  virtualSystemSettingData,
  virtualSystemSnapshotSettingData,
} from './setting-data.ts';
import { summaryInformation } from './summary.ts';
import { virtualHardDiskSettingData, virtualHardDiskState } from './virtual-hard-disks.ts';

export const NAMESPACE = 'root/virtualization/v2';

const ALL: readonly LabClass[] = [
  computerSystem,
  virtualSystemSettingData,
  resourceAllocationSettingData,
  storageAllocationSettingData,
  virtualSystemSnapshotSettingData,
  virtualSystemReferencePointSettingData,
  virtualSystemReferencePoint,
  managementServiceSettingData,
  snapshotService,
  referencePointService,
  managementService,
  imageManagementService,
  concreteJob,
  storageJob,
  msvmError,
  vssComponent,
  kvpExchangeComponent,
  shutdownComponent,
  virtualHardDiskSettingData,
  virtualHardDiskState,
  summaryInformation,
  ...deviceSettings,
  ethernetSwitchPortVlanSettingData,
  securitySettingData,
  bootSourceSettingData,
  virtualEthernetSwitch,
  ...associations,
];

export const LAB_CLASSES: ReadonlyMap<string, LabClass> = new Map(ALL.map((cls) => [cls.name, cls]));

/** By the name of what they are, in lower case. */
const UNDER = new Map<string, LabClass[]>();
for (const cls of ALL)
  for (const kind of [cls.name, ...cls.superclasses].map((name) => name.toLowerCase()))
    UNDER.set(kind, [...(UNDER.get(kind) ?? []), cls]);

/** `name` itself and every class below it. */
export function classesUnder(name: string): readonly LabClass[] {
  return UNDER.get(name.toLowerCase()) ?? [];
}
