/** A machine of `qemu:FOLDER`: its definition and its files, in a folder named by the beginning of its uuid. */
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../disk/index.ts';
import { hypervisorFaults } from './faults.ts';
import type { OwnedMachine } from './port.ts';

const FORMAT = 'hvlift-machine';
const VERSION = 1;
const DEFINITION = 'machine.json';

/** Eight digits of the uuid, as people read them. */
export function folderOf(root: string, machineId: string): string {
  return join(
    root,
    machineId
      .replaceAll(/[^0-9a-f]/gi, '')
      .slice(0, 8)
      .toLowerCase(),
  );
}

/** Undefined when there is none. Throws `HYPERVISOR_DEFINITION_UNREADABLE`. */
export async function readDefinition(folder: string): Promise<OwnedMachine | undefined> {
  const path = join(folder, DEFINITION);
  try {
    const { format, version, machine } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    if (format !== FORMAT || version !== VERSION) throw new Error('it is of something else');
    const { uuid, owner, disks } = machine as Partial<OwnedMachine>;
    if (typeof uuid !== 'string' || typeof owner?.replica !== 'string' || !Array.isArray(disks))
      throw new Error('something is missing in it');
    return machine as OwnedMachine;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw hypervisorFaults.definitionUnreadable({ path, reason: (error as Error).message }, { cause: error });
  }
}

export async function writeDefinition(folder: string, machine: OwnedMachine): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw hypervisorFaults.folderUnusable(
      { path: folder, reason: (error as Error).message },
      { cause: error },
    );
  }
  await replaceFile(
    join(folder, DEFINITION),
    `${JSON.stringify({ format: FORMAT, version: VERSION, machine }, null, 2)}\n`,
  );
}

/** By one step: what a crash leaves of it has another name, and goes with the next removal. */
export async function removeDefinition(folder: string): Promise<void> {
  const removed = `${folder}.removed`;
  await rm(removed, { recursive: true, force: true });
  await rename(folder, removed);
  await rm(removed, { recursive: true, force: true });
}
