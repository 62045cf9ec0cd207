/** What a host of libvirt has: firmware, networks, memory. */
import { KiB, MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Accelerator } from '../machines/index.ts';
import { hypervisorFaults } from './faults.ts';
import type { OwnedMachine } from './port.ts';
import type { Virsh } from './virsh.ts';

/** Throws `HYPERVISOR_NO_FIRMWARE`, `HYPERVISOR_NO_TPM`. */
export async function checkFirmware(
  virsh: Virsh,
  { firmware, secureBoot, tpm }: OwnedMachine,
  type: Accelerator,
  options: CallOptions,
): Promise<void> {
  if (firmware === 'bios' && !tpm) return;
  const virttype = type === 'kvm' ? 'kvm' : 'qemu';
  const offers = await virsh.run(
    [
      'domcapabilities',
      '--arch=x86_64',
      `--machine=${firmware === 'bios' ? 'pc' : 'q35'}`,
      `--virttype=${virttype}`,
    ],
    options,
  );
  const has = (name: string, value: string): boolean =>
    new RegExp(`<enum name='${name}'>(?:(?!</enum>).)*<value>${value}</value>`, 's').test(offers);
  const hypervisor = `libvirt at ${virsh.uri}`;
  // libvirt names it only where swtpm is installed.
  if (tpm && !has('backendModel', 'emulator')) throw hypervisorFaults.noTpm({ hypervisor });
  if (firmware === 'bios' || (has('firmware', 'efi') && (!secureBoot || has('secure', 'yes')))) return;
  throw hypervisorFaults.noFirmware({ hypervisor, wanted: secureBoot ? ' with Secure Boot' : '' });
}

/** Throws `HYPERVISOR_NO_NETWORK`. */
export async function checkNetworks(
  virsh: Virsh,
  { adapters }: OwnedMachine,
  options: CallOptions,
): Promise<void> {
  const wanted = adapters.flatMap(({ network }) => (network.kind === 'network' ? [network.name] : []));
  if (wanted.length === 0) return;
  const active = (await virsh.run(['net-list', '--name'], options)).split('\n').map((line) => line.trim());
  const missing = wanted.find((name) => !active.includes(name));
  if (missing === undefined) return;
  throw hypervisorFaults.noNetwork({ hypervisor: `libvirt at ${virsh.uri}`, network: missing });
}

export async function memoryOf(
  virsh: Virsh,
  options: CallOptions,
): Promise<{ readonly totalMiB: number; readonly freeMiB: number }> {
  const text = await virsh.run(['nodememstats'], options);
  const of = (name: string): number =>
    (Number(new RegExp(`^${name}\\s*:\\s*(\\d+) KiB`, 'm').exec(text)?.[1] ?? Infinity) * KiB) / MiB;
  // What is cached is given back when somebody needs it.
  return {
    totalMiB: Math.floor(of('total')),
    freeMiB: Math.floor(of('free') + of('buffers') + of('cached')),
  };
}
