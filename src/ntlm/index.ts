export { bindingHash } from './channel-binding.ts';
export { readChallenge } from './challenge.ts';
export { Credentials } from './credentials.ts';
export { ntlmFaults } from './faults.ts';
export { NTLM_SIGNATURE } from './format.ts';
export { NtlmHandshake, type HandshakeTarget, type NtlmAgreement } from './handshake.ts';
export { NtlmSeal, type SealedMessage } from './seal.ts';
