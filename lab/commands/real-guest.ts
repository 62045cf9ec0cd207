/** `--guest qemu`: VMs whose guest is real, on the disks that are given or on those of a small Linux. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from '@commander-js/extra-typings';
import { makeGuestImages } from '../guest-qemu/index.ts';
import type { VmSpec } from '../model/index.ts';

/** What the small Linux needs; under emulation more memory only takes longer to count. */
const MEMORY_MIB = 256;

export const guestOption = new Option(
  '--guest <kind>',
  'run a real guest by QEMU on the disks of the VM; without disks, a small Linux made of Debian packages that writes files',
).choices(['qemu'] as const);

/** `create` gets the VM as it is to be. */
export async function withGuest<T>(
  guest: 'qemu' | undefined,
  spec: VmSpec,
  create: (whole: VmSpec) => Promise<T>,
): Promise<T> {
  if (guest === undefined) return create(spec);
  if (spec.disks?.length) return create({ ...spec, guest });
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-linux-'));
  try {
    const [system, files] = [join(folder, 'system.raw'), join(folder, 'files.raw')];
    await makeGuestImages(system, files);
    const disks = [
      { name: 'system', fromRaw: system },
      { name: 'files', fromRaw: files },
    ];
    return await create({ ...spec, processors: 1, memoryMiB: MEMORY_MIB, guest, disks });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
