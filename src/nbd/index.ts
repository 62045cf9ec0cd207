export { describePlace, NBD_PORT, parseNbdAddress, type NbdAddress, type NbdPlace } from './address.ts';
export { nbdFaults } from './faults.ts';
export type { NbdOptions } from './lanes.ts';
export { NbdDisk } from './nbd-disk.ts';
export { NbdServer, type NbdServerOptions, type ServedDisk } from './server.ts';
export type { NbdClientTls, NbdServerTls } from './tls.ts';
