/**
 * UEFI firmware of this machine, found the way QEMU's documentation of firmware descriptors says (docs/interop/firmware.json):
 * JSON files in known folders, of which the first in the order of names that fits is taken.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { machineFaults } from './faults.ts';

export interface UefiFirmware {
  /** Read-only, shared by all machines. */
  readonly codePath: string;
  /** Copied for each machine, which keeps its settings in the copy. */
  readonly variablesPath: string;
  readonly needsSmm: boolean;
}

/** In the order in which one hides another of the same name. */
const FOLDERS = ['/etc/qemu/firmware', '/usr/local/share/qemu/firmware', '/usr/share/qemu/firmware'];

interface Descriptor {
  readonly 'interface-types'?: readonly string[];
  readonly mapping?: {
    readonly device?: string;
    readonly executable?: { readonly filename?: string; readonly format?: string };
    readonly 'nvram-template'?: { readonly filename?: string; readonly format?: string };
  };
  readonly targets?: readonly { readonly architecture?: string; readonly machines?: readonly string[] }[];
  readonly features?: readonly string[];
}

/** With Secure Boot: one that enforces it and has Microsoft's keys. Throws `MACHINE_NO_FIRMWARE`. */
export async function findUefi(
  secureBoot: boolean,
  folders: readonly string[] = FOLDERS,
): Promise<UefiFirmware> {
  for (const descriptor of await descriptorsIn(folders)) {
    const found = firmwareOf(descriptor, secureBoot);
    if (found) return found;
  }
  throw machineFaults.noFirmware({
    wanted: secureBoot ? ' with the keys for Secure Boot' : '',
    instead: secureBoot ? ', or start without it (--no-secure-boot)' : '',
  });
}

async function descriptorsIn(folders: readonly string[]): Promise<Descriptor[]> {
  const files = new Map<string, string>();
  for (const folder of folders.toReversed()) {
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((each) => each.endsWith('.json'))) files.set(name, join(folder, name));
  }
  const paths = [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
  return (await Promise.all(paths.map(descriptorOf))).filter((descriptor) => descriptor !== undefined);
}

/** An empty file hides one of the same name; one that cannot be read is none. */
async function descriptorOf(path: string): Promise<Descriptor | undefined> {
  try {
    const descriptor: unknown = JSON.parse(await readFile(path, 'utf8'));
    return typeof descriptor === 'object' && descriptor !== null ? descriptor : undefined;
  } catch {
    return undefined;
  }
}

function firmwareOf(descriptor: Descriptor, secureBoot: boolean): UefiFirmware | undefined {
  const { mapping, features = [], targets = [] } = descriptor;
  const isOurs = targets.some(
    ({ architecture, machines = [] }) =>
      architecture === 'x86_64' && machines.some((machine) => machine.startsWith('pc-q35')),
  );
  const fits = secureBoot
    ? features.includes('secure-boot') && features.includes('enrolled-keys')
    : !features.includes('secure-boot');
  if (!isOurs || !fits || !descriptor['interface-types']?.includes('uefi')) return undefined;
  const code = mapping?.executable;
  const variables = mapping?.['nvram-template'];
  if (mapping?.device !== 'flash' || !code?.filename || !variables?.filename) return undefined;
  if (code.format !== 'raw' || variables.format !== 'raw') return undefined;
  const needsSmm = features.includes('requires-smm');
  return { codePath: code.filename, variablesPath: variables.filename, needsSmm };
}
