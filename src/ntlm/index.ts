export { channelBinding } from './channel-binding.ts';
export { Credentials } from './credentials.ts';
export { ntlmFaults } from './faults.ts';
export { NtlmHandshake, type HandshakeTarget, type NtlmAgreement } from './handshake.ts';
export { NtlmSeal, SIGNATURE_BYTES, type SealedMessage } from './seal.ts';
