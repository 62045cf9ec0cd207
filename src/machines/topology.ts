/** Processors of a machine by socket, core and thread. */
import type { Accelerator, Machine } from './machine.ts';

export interface Topology {
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}

/** One socket: some editions of Windows use no more than one or two. Emulated processors have no threads to tell of. */
export function topologyOf({ processors, threadsPerCore }: Machine, accelerator: Accelerator): Topology {
  const threads = accelerator === 'kvm' ? threadsPerCore : 1;
  return { sockets: 1, cores: processors / threads, threads };
}
