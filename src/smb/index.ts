export { createSmbClient, SmbClient, type SmbOptions } from './client.ts';
export { smbFaults } from './faults.ts';
export {
  kerberosSecurity,
  ntlmSecurity,
  type SecurityContext,
  type SecurityProvider,
  type SecurityTarget,
} from '../auth/index.ts';
