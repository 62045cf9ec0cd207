/**
 * A guest of one sector, which a BIOS starts in a second: it writes itself into the sector behind it, says so on its serial
 * port, and switches itself off when its power button is pressed.
 */
import { glob, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB } from '../base/index.ts';
import type { OwnedMachine } from './port.ts';

export const READY = 'TINY GUEST IS READY';
export const TINY_DISK_BYTES = MiB;

/** 16-bit code at 0x7c00. */
const CODE = Buffer.from(
  [
    '31c0 8ed8 8ec0 8ed0 bc007c fb', //   all segments 0, stack below, interrupts on
    'b80103 bb007c b90200 ba8000 cd13', // BIOS: write one sector from 0x7c00 to sector 2 of the first disk
    '72fe', //                            failed: stay here, and say nothing
    'be457c ac 84c0 7406 baf803 ee ebf5', // the text at 0x7c45 to the serial port
    'ba0206 b80001 ef', //                ACPI: let the power button be seen (PM1_EN)
    'ba0006 f4 ed f6c401 74f9', //        wait for it (PM1_STS)
    'ba0406 b80020 ef f4 ebfd', //        switch off (PM1_CNT)
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
);

export function bootSector(): Buffer {
  const sector = Buffer.alloc(512);
  CODE.copy(sector);
  sector.write(`${READY}\r\n\0`, CODE.length, 'latin1');
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/** Code of its own at the beginning, then zeros. */
export async function writeTinyDisk(path: string): Promise<void> {
  await writeFile(path, Buffer.concat([bootSector(), Buffer.alloc(TINY_DISK_BYTES - 512)]));
}

export const TINY_ID = '5a0e4a57-1c2d-4e4f-8000-0123456789ab';

export function tinyMachine(disk: string, changes: Partial<OwnedMachine> = {}): OwnedMachine {
  return {
    name: 'tiny',
    uuid: TINY_ID,
    owner: {
      vmId: 'abcdef01-2345-4678-89ab-cdef01234567',
      replica: '0123456789abcdef',
      generation: 3,
      purpose: 'rehearsal',
    },
    firmware: 'bios',
    secureBoot: false,
    processors: 1,
    threadsPerCore: 1,
    memoryMiB: 32,
    tpm: false,
    disks: [
      {
        source: { kind: 'file', path: disk, format: 'raw' },
        bus: 'ide',
        logicalSectorSize: 512,
        physicalSectorSize: 512,
      },
    ],
    adapters: [],
    bootsFromNetwork: 'never',
    ...changes,
  };
}

/** A test that failed leaves its machines running: they go with its folder. */
export async function removeWithMachines(folder: string): Promise<void> {
  for await (const path of glob('**/*.pid', { cwd: folder })) {
    const pid = Number(await readFile(join(folder, path), 'utf8').catch(() => ''));
    const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (words.startsWith('qemu-system') || words.startsWith('/usr/bin/qemu-system'))
      process.kill(pid, 'SIGKILL');
  }
  await rm(folder, { recursive: true, force: true });
}
