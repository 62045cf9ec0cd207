/** The folder with a machine's own files: settings of its firmware, what its serial port said, the socket of its screen. */
import { constants, copyFile, mkdir, rm } from 'node:fs/promises';
import { machineFaults } from './faults.ts';
import type { UefiFirmware } from './firmware.ts';
import { machineFiles } from './qemu-command.ts';

/** `sun_path` of Linux, without the zero at its end. */
const SOCKET_PATH_BYTES_MAX = 107;

/** For a machine whose screen is named by its whole path. Throws `MACHINE_PATH_UNUSABLE`. */
export function checkMachineFolder(folder: string): void {
  if (Buffer.byteLength(machineFiles(folder).screen) > SOCKET_PATH_BYTES_MAX)
    throw machineFaults.pathUnusable({ path: folder, reason: 'it is too long for the name of a socket' });
}

/**
 * Makes what is missing in it; the settings of the firmware are kept, because the guest enters itself there at its first start.
 * Throws `MACHINE_PATH_UNUSABLE`.
 */
export async function prepareMachineFolder(folder: string, firmware?: UefiFirmware): Promise<void> {
  const { screen, variables } = machineFiles(folder);
  try {
    await mkdir(folder, { recursive: true });
    // Left by a machine that was killed; QEMU cannot listen on it again.
    await rm(screen, { force: true });
    if (firmware) await copyOnce(firmware.variablesPath, variables);
  } catch (error) {
    throw machineFaults.pathUnusable({ path: folder, reason: (error as Error).message }, { cause: error });
  }
}

async function copyOnce(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
