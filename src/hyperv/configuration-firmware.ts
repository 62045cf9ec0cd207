/** Firmware of a VM: identity, what it starts from, Secure Boot. */
import { Msvm_BootSourceSettingData } from './classes/devices.ts';
import { keyOf, named, present, type Devices, type Named } from './configuration-values.ts';
import type { SettingsRow } from './settings.ts';

export interface VmFirmware {
  readonly biosGuid?: string;
  readonly serialNumber?: string;
  /** Generation 1, in the host's numbers: 0 floppy, 1 CD, 2 IDE, 3 network, 4 SCSI. */
  readonly bootOrder: readonly number[];
  /** Generation 2, in order. */
  readonly bootSources?: readonly VmBootSource[];
  readonly secureBoot?: boolean;
  readonly secureBootTemplateId?: string;
  /** The name of the template, when it is one that Windows brings. */
  readonly secureBootTemplate?: string;
  readonly networkBootProtocol?: Named<typeof NETWORK_PROTOCOLS>;
  readonly pauseAfterBootFailure?: boolean;
  readonly numLock?: boolean;
  readonly console?: Named<typeof CONSOLES>;
}

export interface VmBootSource {
  readonly kind?: Named<typeof SOURCE_KINDS>;
  readonly description?: string;
  /** UEFI device path as text. */
  readonly devicePath?: string;
}

const NETWORK_PROTOCOLS = { 4096: 'ipv4', 4097: 'ipv6' } as const;
const CONSOLES = { 0: 'default', 1: 'com1', 2: 'com2', 3: 'none' } as const;
const SOURCE_KINDS = { 0: 'unknown', 1: 'drive', 2: 'network', 3: 'file' } as const;
const TEMPLATES: Readonly<Record<string, string>> = {
  '1734c6e8-3154-4dda-ba5f-a874cc483422': 'MicrosoftWindows',
  '272e7447-90a4-4563-a4b9-8e4ab00526ce': 'MicrosoftUEFICertificateAuthority',
  '4292ae2b-ee2c-42b5-a969-dd8f8689f6f3': 'OpenSourceShieldedVM',
};

export async function readFirmware(
  settings: SettingsRow,
  generation: number | undefined,
  owned: Devices,
): Promise<VmFirmware> {
  const templateId = settings.SecureBootTemplateId;
  return {
    bootOrder: settings.BootOrder,
    ...present({
      bootSources: generation === 2 ? await bootSources(settings, owned) : undefined,
      biosGuid: settings.BIOSGUID,
      serialNumber: settings.BIOSSerialNumber,
      secureBoot: settings.SecureBootEnabled,
      secureBootTemplateId: templateId,
      secureBootTemplate: templateId ? TEMPLATES[templateId.toLowerCase()] : undefined,
      networkBootProtocol: named(NETWORK_PROTOCOLS, settings.NetworkBootPreferredProtocol),
      pauseAfterBootFailure: settings.PauseAfterBootFailure,
      numLock: settings.BIOSNumLock,
      console: named(CONSOLES, settings.ConsoleMode),
    }),
  };
}

/** Those the order names and the host describes. */
async function bootSources(settings: SettingsRow, owned: Devices): Promise<VmBootSource[]> {
  if (settings.BootSourceOrder.length === 0) return [];
  const rows = await owned(Msvm_BootSourceSettingData);
  return settings.BootSourceOrder.flatMap((path) => {
    const id = keyOf(path, 'InstanceID')?.toLowerCase();
    const row = rows.find(({ InstanceID }) => InstanceID.toLowerCase() === id);
    if (!row) return [];
    return [
      present({
        kind: named(SOURCE_KINDS, row.BootSourceType),
        description: row.BootSourceDescription,
        devicePath: row.FirmwareDevicePath,
      }),
    ];
  });
}
