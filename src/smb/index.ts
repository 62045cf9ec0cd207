export { createSmbClient, SmbClient, type SmbOptions } from './client.ts';
export { smbFaults } from './faults.ts';
export {
  ntlmSecurity,
  type SecurityContext,
  type SecurityProvider,
  type SecurityTarget,
} from './security-context.ts';
