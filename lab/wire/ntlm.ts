/**
 * The server's half of NTLMv2 (MS-NLMP 3.2.5): NEGOTIATE → CHALLENGE → AUTHENTICATE → sealing. As a host with default
 * policy does, it demands signing, sealing, extended session security, 128 bit and key exchange. A message integrity code
 * over all three messages is checked when the client says that it sends one; it says so inside the part the proof covers,
 * so the code cannot be stripped. One acceptor serves one TCP connection.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { md4 } from './md4.ts';
import {
  AV,
  AV_FLAG_MIC,
  MIC_OFFSET,
  NTLM_FLAGS,
  clientChallenge,
  isNtlm,
  negotiateMessage,
  readAuthenticate,
  readAvPairs,
  writeAvPairs,
  writeChallenge,
  type Authenticate,
} from './ntlm-format.ts';
import { Rc4 } from './rc4.ts';
import { Sealing } from './sealing.ts';

export interface Account {
  readonly user: string;
  readonly password: string;
  /** Left out, the account is local: any domain the client names is ignored, as a workgroup host does. */
  readonly domain?: string;
  /** The token lacks the administrators group (UAC filtering): everything is answered, and everything is empty. */
  readonly filtered?: boolean;
}

export interface Authenticated {
  readonly account: Account;
  readonly sealing: Sealing;
}

const F = NTLM_FLAGS;
const REQUIRED = F.sign | F.seal | F.extendedSessionSecurity | F.key128 | F.keyExchange;
const SUPPORTED = REQUIRED | F.unicode | F.requestTarget | F.alwaysSign | F.version | F.key56;
/** 10.0 build 20348, NTLM revision 15. */
const VERSION = Uint8Array.of(10, 0, 0x7c, 0x4f, 0, 0, 0, 15);
const PROOF_SIZE = 16;

export class NtlmAcceptor {
  readonly #accounts: readonly Account[];
  readonly #hostName: string;
  #handshake: { negotiate: Uint8Array; challenge: Uint8Array; nonce: Uint8Array } | undefined;

  constructor(accounts: readonly Account[], hostName: string) {
    this.#accounts = accounts;
    this.#hostName = hostName;
  }

  /** Ends a handshake that something came between. */
  forget(): void {
    this.#handshake = undefined;
  }

  /**
   * The CHALLENGE for a NEGOTIATE; `undefined` when the token is none, or offers less than sealing needs. A NEGOTIATE
   * starts the handshake anew.
   */
  challenge(negotiate: Uint8Array): Uint8Array | undefined {
    if (!isNtlm(negotiate, 1)) return undefined;
    this.#handshake = undefined;
    const offered = negotiateMessage.read(negotiate).flags;
    if ((offered & REQUIRED) !== REQUIRED) return undefined;
    const nonce = randomBytes(8);
    const challenge = writeChallenge({
      // A client that offers no Unicode is spoken to in its own code page; pywinrm is one (MS-NLMP 2.2.2.5).
      flags:
        (offered & SUPPORTED) |
        F.ntlm |
        F.targetInfo |
        F.targetTypeServer |
        (offered & F.unicode ? 0 : F.oem),
      serverChallenge: nonce,
      targetName: this.#netbiosName(),
      targetInfo: this.#targetInfo(),
      version: VERSION,
    });
    this.#handshake = { negotiate: Uint8Array.from(negotiate), challenge, nonce };
    return challenge;
  }

  /** Judges an AUTHENTICATE. A challenge is good for one attempt, so that guesses cost a round trip each. */
  authenticate(token: Uint8Array): Authenticated | undefined {
    const handshake = this.#handshake;
    this.#handshake = undefined;
    if (!handshake || !isNtlm(token, 3)) return undefined;
    const message = readAuthenticate(token);
    if (!message || (message.flags & REQUIRED) !== REQUIRED) return undefined;
    const account = this.#accounts.find((candidate) => isFor(candidate, message));
    const sessionBaseKey = account && verifiedBaseKey(account, message, handshake.nonce);
    if (!sessionBaseKey || message.encryptedKey.length !== 16) return undefined;
    const exportedKey = new Rc4(sessionBaseKey).transform(message.encryptedKey);
    const transcript = [handshake.negotiate, handshake.challenge, withoutMic(token)];
    if (hasMic(message) && !same(hmacMd5(exportedKey, ...transcript), message.mic)) return undefined;
    return { account, sealing: new Sealing(exportedKey, 'server') };
  }

  #netbiosName(): string {
    return this.#hostName.split('.')[0]!.slice(0, 15).toUpperCase();
  }

  #targetInfo(): Uint8Array {
    const name = Buffer.from(this.#netbiosName(), 'utf16le');
    const timestamp = Buffer.alloc(8);
    timestamp.writeBigUInt64LE(windowsTime(Date.now()));
    const pairs: [number, Uint8Array][] = [
      [AV.domainName, name],
      [AV.computerName, name],
      [AV.dnsComputerName, Buffer.from(this.#hostName, 'utf16le')],
      [AV.timestamp, timestamp],
    ];
    return writeAvPairs(new Map(pairs));
  }
}

function isFor(account: Account, { user, domain }: Authenticate): boolean {
  const name = domain === '' && user.includes('@') ? user.split('@') : [user, domain];
  if (name[0]!.toLowerCase() !== account.user.toLowerCase()) return false;
  return account.domain === undefined || account.domain.toLowerCase() === name[1]!.toLowerCase();
}

/** The session base key when the proof is right. The client's own spelling of user and domain is part of the hash. */
function verifiedBaseKey(
  account: Account,
  message: Authenticate,
  serverNonce: Uint8Array,
): Uint8Array | undefined {
  if (message.ntResponse.length < PROOF_SIZE + clientChallenge.size) return undefined;
  const proof = message.ntResponse.subarray(0, PROOF_SIZE);
  const temp = message.ntResponse.subarray(PROOF_SIZE);
  const key = ntowfV2(account.password, message.user, message.domain);
  return same(hmacMd5(key, serverNonce, temp), proof) ? hmacMd5(key, proof) : undefined;
}

/** NTOWFv2, MS-NLMP 3.3.2. */
export function ntowfV2(password: string, user: string, domain: string): Uint8Array {
  const hash = md4(Buffer.from(password, 'utf16le'));
  return hmacMd5(hash, Buffer.from(user.toUpperCase() + domain, 'utf16le'));
}

export function hmacMd5(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('md5', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** FILETIME: 100 ns steps since 1601. */
function windowsTime(milliseconds: number): bigint {
  return (BigInt(milliseconds) + 11_644_473_600_000n) * 10_000n;
}

function hasMic(message: Authenticate): boolean {
  const pairs = readAvPairs(message.ntResponse.subarray(PROOF_SIZE + clientChallenge.size));
  return ((pairs.get(AV.flags)?.[0] ?? 0) & AV_FLAG_MIC) !== 0;
}

function withoutMic(token: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(token);
  copy.fill(0, MIC_OFFSET, MIC_OFFSET + 16);
  return copy;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
