/** A hypervisor by its address: `qemu:FOLDER`, or `libvirt:URI`. */
import { isAbsolute } from 'node:path';
import { hypervisorFaults } from './faults.ts';
import { LibvirtHypervisor } from './libvirt-hypervisor.ts';
import type { Hypervisor } from './port.ts';
import { QemuHypervisor } from './qemu-hypervisor.ts';

/** Touches nothing. Throws `HYPERVISOR_ADDRESS_INVALID`. */
export async function openHypervisor(address: string): Promise<Hypervisor> {
  const [, kind, place] = /^(qemu|libvirt):(.+)$/s.exec(address) ?? [];
  if (kind === undefined || place === undefined)
    throw invalid(address, 'it begins with neither qemu: nor libvirt:');
  if (kind === 'libvirt') return new LibvirtHypervisor(libvirtUri(address, place));
  if (!isAbsolute(place)) throw invalid(address, 'the path of the folder is not absolute');
  return new QemuHypervisor(place);
}

/** Over SSH nobody can be asked for a password: the command would wait for ever. */
function libvirtUri(address: string, uri: string): string {
  if (!/^[a-z]+(\+[a-z0-9]+)?:\/\/\S*$/.test(uri) || uri.startsWith('-'))
    throw invalid(address, 'after libvirt: comes the URI of a connection');
  if (!/^[a-z]+\+ssh:/.test(uri) || /[?&]no_tty=/.test(uri)) return uri;
  return `${uri}${uri.includes('?') ? '&' : '?'}no_tty=1`;
}

function invalid(address: string, reason: string): Error {
  return hypervisorFaults.addressInvalid({ address, reason });
}
