import { association } from './class-table.ts';

export const associations = [
  association('Msvm_SettingsDefineState', ['ManagedElement', 'SettingData']),
  association('Msvm_VirtualSystemSettingDataComponent', ['GroupComponent', 'PartComponent']),
  association('Msvm_SnapshotOfVirtualSystem', ['Antecedent', 'Dependent']),
  association('Msvm_MostCurrentSnapshotInBranch', ['Antecedent', 'Dependent']),
  association('Msvm_ReferencePointOfVirtualSystem', ['Antecedent', 'Dependent']),
  association('Msvm_SystemDevice', ['GroupComponent', 'PartComponent']),
  association('Msvm_AffectedJobElement', ['AffectedElement', 'AffectingElement'], {
    'uint16[]': 'ElementEffects',
    'string[]': 'OtherElementEffectsDescriptions',
  }),
] as const;
