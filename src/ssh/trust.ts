/**
 * Which host key is believed. There is no way to connect without a pin: either the fingerprint of the key, or a file of
 * known hosts. A host that file does not name yet is refused, unless somebody is asked and says yes; the key then goes
 * into the file.
 */
import { sshFaults } from './faults.ts';
import { HOST_KEY_TYPES, type HostKey } from './host-key.ts';
import { addKnownHost, readKnownHosts, type KnownKey } from './known-hosts.ts';

export type HostKeyPin =
  | {
      /** `SHA256:…` of the only key to trust. */
      readonly fingerprint: string;
    }
  | {
      /** A file in the format of OpenSSH's `known_hosts`. */
      readonly knownHosts: string;
      /** Asked when the file does not name the host; only a person may answer. Absent: refused. */
      readonly confirm?: (offer: HostKeyOffer) => Promise<boolean>;
    };

export interface HostKeyOffer {
  readonly host: string;
  readonly type: string;
  readonly fingerprint: string;
}

export type Verdict = 'trusted' | 'unknown' | 'changed' | 'revoked';

/** What is pinned for one host, as it is now. */
export interface Pins {
  /** Types of key to ask for, those that are pinned first: a server with several keys shows the first that both know. */
  readonly types: readonly string[];
  verdict(key: HostKey): Verdict;
}

interface Place {
  readonly host: string;
  readonly port: number;
}

const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}=?$/;

/** Throws `SSH_BAD_FINGERPRINT`, `SSH_KNOWN_HOSTS_UNUSABLE`. */
export async function loadPins(pin: HostKeyPin, { host, port }: Place): Promise<Pins> {
  if ('fingerprint' in pin) return pinsOfFingerprint(pin.fingerprint, host);
  const { trusted, revoked } = await readKnownHosts(pin.knownHosts, host, port);
  const known = HOST_KEY_TYPES.filter((type) => trusted.some((key) => key.type === type));
  return {
    types: [...known, ...HOST_KEY_TYPES.filter((type) => !known.includes(type))],
    verdict(key) {
      if (holds(revoked, key)) return 'revoked';
      if (holds(trusted, key)) return 'trusted';
      return trusted.length === 0 ? 'unknown' : 'changed';
    },
  };
}

function pinsOfFingerprint(fingerprint: string, host: string): Pins {
  if (!FINGERPRINT.test(fingerprint)) throw sshFaults.badFingerprint({ host });
  const wanted = fingerprint.replace(/=$/, '');
  return {
    types: HOST_KEY_TYPES,
    verdict: (key) => (key.fingerprint === wanted ? 'trusted' : 'changed'),
  };
}

function holds(keys: readonly KnownKey[], { bytes }: HostKey): boolean {
  return keys.some((key) => key.bytes.equals(bytes));
}

/** The server showed a key that is not trusted; nothing was sent to it but the key exchange. */
export class HostKeyRefusal extends Error {
  readonly key: HostKey;
  readonly verdict: Exclude<Verdict, 'trusted'>;

  constructor(key: HostKey, verdict: Exclude<Verdict, 'trusted'>) {
    super(`host key ${verdict}`);
    this.key = key;
    this.verdict = verdict;
  }
}

/** Asks whether a key seen for the first time is the host's, and remembers it. Throws the fault when it is not. */
export async function confirmNewKey(pin: HostKeyPin, place: Place, refusal: HostKeyRefusal): Promise<void> {
  const { key, verdict } = refusal;
  const offer = { host: place.host, type: key.type, fingerprint: key.fingerprint };
  const mayAsk = verdict === 'unknown' && 'knownHosts' in pin && pin.confirm !== undefined;
  if (!mayAsk || !(await pin.confirm!(offer))) throw refusalFault(pin, place, refusal);
  await addKnownHost(pin.knownHosts, place.host, place.port, key);
}

function refusalFault(pin: HostKeyPin, { host }: Place, { key, verdict }: HostKeyRefusal): Error {
  const place = 'knownHosts' in pin ? pin.knownHosts : 'the configuration';
  const details = { host, type: key.type, fingerprint: key.fingerprint, place };
  if (verdict === 'unknown') return sshFaults.hostKeyUnknown(details);
  return verdict === 'revoked' ? sshFaults.hostKeyRevoked(details) : sshFaults.hostKeyChanged(details);
}
