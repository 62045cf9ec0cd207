/** Whether guests can use the processor of this machine. */
import { access, constants } from 'node:fs/promises';
import type { Accelerator } from './machine.ts';

/**
 * `kvm_pvm` has a /dev/kvm too, inside clouds that offer no nested virtualization; kernels that were not made for it hang in it
 * right after their boot loader, so a machine would seem to start and never come up.
 */
export async function accelerator(): Promise<Accelerator> {
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  const isPvm = await access('/sys/module/kvm_pvm').then(
    () => true,
    () => false,
  );
  return usable && !isPvm ? 'kvm' : 'tcg';
}
