export { bindingHash } from './channel-binding.ts';
export { Credentials } from './credentials.ts';
export { ntlmFaults } from './faults.ts';
export { NtlmHandshake, type HandshakeTarget, type NtlmAgreement } from './handshake.ts';
export { NtlmSeal, type SealedMessage } from './seal.ts';
