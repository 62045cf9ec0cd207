export type { Hypervisor, MachineOwner, MachineState, OwnedMachine } from './port.ts';
