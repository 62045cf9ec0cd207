export { SshConnection } from './connection.ts';
export { sshFaults } from './faults.ts';
export type { LogOnMethods } from './log-on.ts';
export { hasNativeSshCrypto } from './native-crypto.ts';
export { SshServer, type SshOptions } from './server.ts';
export type { HostKeyOffer, HostKeyPin } from './trust.ts';
export { createSshTunnel, type SshTunnel } from './tunnel.ts';
