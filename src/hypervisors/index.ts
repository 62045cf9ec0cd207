export { checkConversion, CONVERSIONS, convertClone, devicesOf, type Conversion } from './conversion.ts';
export { conversionFaults } from './conversion-faults.ts';
export { hypervisorFaults } from './faults.ts';
export { waitUntilHealthy, type Health, type HealthProbe, type HealthRequest } from './health.ts';
export { openHypervisor } from './open-hypervisor.ts';
export type { Hypervisor, MachineOwner, MachineState, OwnedMachine } from './port.ts';
