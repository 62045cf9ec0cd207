/**
 * The client side of NTLMv2 log-on: NEGOTIATE → CHALLENGE → AUTHENTICATE. MS-NLMP 3.1.5.
 *
 * What the server must agree to is demanded, not hoped for: signing, sealing, extended session security, 128 bits and key
 * exchange. With a server timestamp (every Windows) the three messages are bound together by a MIC, so that a man in the
 * middle can not talk the two sides down.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { readChallenge } from './challenge.ts';
import type { Credentials } from './credentials.ts';
import {
  AV,
  AV_FLAG_MIC,
  authenticateMessage,
  negotiateMessage,
  NTLM_FLAGS,
  NTLM_SIGNATURE,
  NTLM_VERSION,
  utf16,
  writeAvPairs,
  type AvPair,
  type PayloadSpan,
} from './format.ts';
import { hmacMd5, lmResponse, ntResponse, passwordKey } from './keys.ts';
import { Rc4 } from './rc4.ts';
import { NtlmSeal } from './seal.ts';

const OFFERED_FLAGS = Object.values(NTLM_FLAGS).reduce((all, bit) => (all | bit) >>> 0, 0);
/** Days from 1601 to 1970 in units of 100 ns. */
const FILETIME_EPOCH = 116_444_736_000_000_000n;

export interface HandshakeTarget {
  readonly host: string;
  /** The class of the service principal name the log-on is meant for: `HTTP` for WinRM, `cifs` for SMB. */
  readonly service: string;
  /** MD5 of the channel-binding structure of the TLS connection below; left out without TLS (zeros are not ignored). */
  readonly channelBinding?: Uint8Array | undefined;
}

export interface NtlmAgreement {
  readonly token: Uint8Array;
  /** 16 bytes: what the protocol above derives keys of its own from (MS-NLMP 3.1.5.1.2, ExportedSessionKey). */
  readonly sessionKey: Uint8Array;
  readonly seal: NtlmSeal;
}

export class NtlmHandshake {
  readonly #credentials: Credentials;
  readonly #target: HandshakeTarget;
  readonly #negotiate = makeNegotiate();

  constructor(credentials: Credentials, target: HandshakeTarget) {
    this.#credentials = credentials;
    this.#target = target;
  }

  /** The first token. */
  negotiate(): Uint8Array {
    return this.#negotiate;
  }

  /**
   * The second token, and the session security that holds once the server accepts it.
   * Throws `NTLM_BAD_CHALLENGE`, `NTLM_SECURITY_REFUSED`, `NTLM_CRYPTO_MISSING`.
   */
  async authenticate(challengeBytes: Uint8Array): Promise<NtlmAgreement> {
    const challenge = readChallenge(challengeBytes, this.#target.host);
    const { user, domain } = this.#credentials;
    const key = passwordKey(user, domain, await this.#credentials.password());
    const timestamp = challenge.pairs.find((pair) => pair.id === AV.timestamp)?.value;
    const clientChallenge = randomBytes(8);
    const { response, sessionBaseKey } = ntResponse(key, {
      serverChallenge: challenge.serverChallenge,
      clientChallenge,
      time: timestamp ?? fileTimeNow(),
      targetInfo: writeAvPairs(this.#answerPairs(challenge.pairs, timestamp !== undefined)),
    });
    const exportedKey = randomBytes(16);
    const token = makeAuthenticate(challenge.flags, {
      lmResponse: timestamp
        ? new Uint8Array(24)
        : lmResponse(key, challenge.serverChallenge, clientChallenge),
      ntResponse: response,
      domain: utf16(domain),
      user: utf16(user),
      workstation: utf16(hostname().toUpperCase()),
      sessionKey: new Rc4(sessionBaseKey).apply(exportedKey),
    });
    if (timestamp) {
      const mic = hmacMd5(exportedKey, this.#negotiate, challengeBytes, token);
      authenticateMessage.write(token, { mic });
    }
    return { token, sessionKey: exportedKey, seal: new NtlmSeal(exportedKey, 'client') };
  }

  /** The server's pairs, with ours: the MIC flag, the service name, the channel binding. */
  #answerPairs(pairs: readonly AvPair[], withMic: boolean): AvPair[] {
    const ours: AvPair[] = [
      { id: AV.targetName, value: utf16(`${this.#target.service}/${this.#target.host}`) },
    ];
    const binding = this.#target.channelBinding;
    if (binding) ours.push({ id: AV.channelBindings, value: binding });
    const theirFlags = pairs.find((pair) => pair.id === AV.flags)?.value[0] ?? 0;
    const flags = theirFlags | (withMic ? AV_FLAG_MIC : 0);
    if (flags !== 0) ours.push({ id: AV.flags, value: Uint8Array.of(flags, 0, 0, 0) });
    const replaced = new Set<number>([AV.flags, AV.targetName, AV.channelBindings]);
    return [...pairs.filter((pair) => !replaced.has(pair.id)), ...ours];
  }
}

function makeNegotiate(): Uint8Array {
  const bytes = new Uint8Array(negotiateMessage.size);
  negotiateMessage.write(bytes, {
    signature: NTLM_SIGNATURE,
    type: 1,
    flags: OFFERED_FLAGS,
    version: NTLM_VERSION,
  });
  return bytes;
}

type Payload = Readonly<
  Record<'lmResponse' | 'ntResponse' | 'domain' | 'user' | 'workstation' | 'sessionKey', Uint8Array>
>;

function makeAuthenticate(serverFlags: number, payload: Payload): Uint8Array {
  const head = new Uint8Array(authenticateMessage.size);
  authenticateMessage.write(head, {
    signature: NTLM_SIGNATURE,
    type: 3,
    flags: (OFFERED_FLAGS & serverFlags) >>> 0,
    version: NTLM_VERSION,
  });
  let offset = head.length;
  for (const [name, value] of Object.entries(payload)) {
    const span: PayloadSpan = { length: value.length, offset };
    authenticateMessage.write(head, { [name]: span });
    offset += value.length;
  }
  return Buffer.concat([head, ...Object.values(payload)]);
}

function fileTimeNow(): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Date.now()) * 10_000n + FILETIME_EPOCH, true);
  return bytes;
}
