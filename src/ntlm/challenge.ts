/** The server's challenge, and what it must agree to before anything derived from the password is made. MS-NLMP 2.2.1.2. */
import { ntlmFaults } from './faults.ts';
import { AV, challengeMessage, NTLM_FLAGS, NTLM_SIGNATURE, readAvPairs, type AvPair } from './format.ts';

const DEMANDED = [
  'sign',
  'seal',
  'extendedSessionSecurity',
  'keyLength128',
  'keyExchange',
  'unicode',
] as const;

/** It comes back in a field of 65535 bytes, with pairs of ours; that of a host has some hundred. */
const TARGET_INFO_BYTES_MAX = 32_768;
/** A FILETIME. */
const TIMESTAMP_BYTES = 8;

export interface Challenge {
  readonly flags: number;
  readonly serverChallenge: Uint8Array;
  readonly pairs: readonly AvPair[];
}

/** `host` is for messages. Throws `NTLM_BAD_CHALLENGE`, `NTLM_SECURITY_REFUSED`. */
export function readChallenge(bytes: Uint8Array, host: string): Challenge {
  const broken = (reason: string): Error => ntlmFaults.badChallenge({ host, reason });
  if (bytes.length < challengeMessage.size) throw broken('it is cut short');
  const message = challengeMessage.read(bytes);
  if (message.signature !== NTLM_SIGNATURE || message.type !== 2) throw broken('it is no challenge');
  const missing = DEMANDED.filter((name) => (message.flags & NTLM_FLAGS[name]) === 0);
  if (missing.length > 0) {
    throw ntlmFaults.securityRefused({ host, missing: missing.join(', ') });
  }
  const { offset, length } = message.targetInfo;
  if (offset + length > bytes.length) throw broken('its target information leaves the message');
  const pairs = readAvPairs(bytes.subarray(offset, offset + length));
  if (pairs === undefined) throw broken('its target information is damaged');
  if (length > TARGET_INFO_BYTES_MAX) throw broken('its target information is too long');
  const timestamp = pairs.find((pair) => pair.id === AV.timestamp);
  if (timestamp && timestamp.value.length !== TIMESTAMP_BYTES) throw broken('its time has a wrong length');
  return { flags: message.flags, serverChallenge: message.serverChallenge, pairs };
}
