/**
 * The current settings of a VM: the one instance Msvm_SettingsDefineState leads to.
 *
 * Checkpoints are instances of the same class and related to the same VM. Taking one of them for the settings would read
 * disks that are frozen, or no longer attached, so the type is checked as well.
 */
import type { CallOptions } from '../disk/index.ts';
import { wql, type CimClass, type CimInstance, type CimReference } from '../winrm/index.ts';
import { Msvm_VirtualSystemSettingData } from './classes/settings.ts';
import { hypervFaults } from './faults.ts';
import type { Host } from './host.ts';
import { vmReference } from './vms.ts';

export type SettingsRow = CimInstance<typeof Msvm_VirtualSystemSettingData>;

export async function currentSettings(host: Host, vmId: string, options: CallOptions): Promise<SettingsRow> {
  const query = wql`ASSOCIATORS OF ${await vmReference(host, vmId, options)}
    WHERE AssocClass = Msvm_SettingsDefineState ResultClass = Msvm_VirtualSystemSettingData`;
  const rows = await Array.fromAsync(host.session.query(Msvm_VirtualSystemSettingData, query, options));
  const settings = rows.filter(isCurrentSettings);
  if (settings.length !== 1) {
    throw hypervFaults.unexpectedAnswer({
      what: `VM ${vmId}`,
      reason: `it has ${settings.length} current settings`,
    });
  }
  return settings[0]!;
}

/** Of a VM as it is, not as a checkpoint keeps it. */
export function isCurrentSettings({ VirtualSystemType }: Pick<SettingsRow, 'VirtualSystemType'>): boolean {
  return /:System:[^:]+$/.test(VirtualSystemType ?? '');
}

export function settingsReference(instanceId: string): CimReference {
  return { className: Msvm_VirtualSystemSettingData.name, keys: { InstanceID: instanceId } };
}

/** The devices of one class in the settings, or the checkpoint, with this InstanceID. */
export async function componentsOf<C extends CimClass>(
  host: Host,
  instanceId: string,
  cls: C,
  options: CallOptions,
): Promise<CimInstance<C>[]> {
  const query = wql`ASSOCIATORS OF ${settingsReference(instanceId)}
    WHERE AssocClass = Msvm_VirtualSystemSettingDataComponent ResultClass = `;
  return Array.fromAsync(host.session.query(cls, query + cls.name, options));
}
