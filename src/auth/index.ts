export { channelBinding } from './channel-binding.ts';
export { MECHANISMS, securityFor, type Mechanism, type SecurityChoice } from './choice.ts';
export { Malformed } from './der.ts';
export { kerberosFaults } from './faults.ts';
export { kerberosSecurity, type KerberosOptions } from './kerberos.ts';
export { ntlmSecurity } from './ntlm-context.ts';
export type { SealedMessage, SecurityContext, SecurityProvider, SecurityTarget } from './security-context.ts';
export { SpnegoClient } from './spnego-client.ts';
