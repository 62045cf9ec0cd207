/** The three NTLM messages as bytes (MS-NLMP 2.2.1). A field is a length, a maximal length and an offset into the message. */
import { raw, struct, u16, u32, u64big, viewOf, type StructOf } from '../../src/base/index.ts';

const NTLM_SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');

/** NegotiateFlags, MS-NLMP 2.2.2.5. */
export const NTLM_FLAGS = {
  unicode: 0x1,
  oem: 0x2,
  requestTarget: 0x4,
  sign: 0x10,
  seal: 0x20,
  ntlm: 0x200,
  alwaysSign: 0x8000,
  targetTypeServer: 0x20000,
  extendedSessionSecurity: 0x80000,
  targetInfo: 0x800000,
  version: 0x2000000,
  key128: 0x20000000,
  keyExchange: 0x40000000,
  key56: 0x80000000,
} as const;

/** AV_PAIR ids, MS-NLMP 2.2.2.1. */
export const AV = {
  end: 0,
  computerName: 1,
  domainName: 2,
  dnsComputerName: 3,
  flags: 6,
  timestamp: 7,
} as const;
/** MsvAvFlags bit: the AUTHENTICATE message carries a MIC. */
export const AV_FLAG_MIC = 2;

export const negotiateMessage = struct('NEGOTIATE_MESSAGE', 16, {
  signature: raw(0, 8),
  type: u32(8),
  flags: u32(12),
});

export const challengeMessage = struct('CHALLENGE_MESSAGE', 56, {
  signature: raw(0, 8),
  type: u32(8),
  targetNameLength: u16(12),
  targetNameLengthMax: u16(14),
  targetNameOffset: u32(16),
  flags: u32(20),
  serverChallenge: raw(24, 8),
  targetInfoLength: u16(40),
  targetInfoLengthMax: u16(42),
  targetInfoOffset: u32(44),
  version: raw(48, 8),
});

export const authenticateMessage = struct('AUTHENTICATE_MESSAGE', 88, {
  signature: raw(0, 8),
  type: u32(8),
  ntLength: u16(20),
  ntOffset: u32(24),
  domainLength: u16(28),
  domainOffset: u32(32),
  userLength: u16(36),
  userOffset: u32(40),
  keyLength: u16(52),
  keyOffset: u32(56),
  flags: u32(60),
  mic: raw(72, 16),
});
export const MIC_OFFSET = authenticateMessage.fields.mic.offset;

/** NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.7) behind the 16 bytes of proof: the AV pairs start at 28. */
export const clientChallenge = struct('NTLMv2_CLIENT_CHALLENGE', 28, { time: u64big(8), nonce: raw(16, 8) });

export interface Authenticate {
  readonly ntResponse: Uint8Array;
  readonly domain: string;
  readonly user: string;
  readonly encryptedKey: Uint8Array;
  readonly flags: number;
  readonly mic: Uint8Array;
}

export function isNtlm(token: Uint8Array, type: 1 | 3): boolean {
  return (
    token.length >= negotiateMessage.size &&
    NTLM_SIGNATURE.equals(token.subarray(0, 8)) &&
    negotiateMessage.read(token).type === type
  );
}

export function writeChallenge(input: {
  flags: number;
  serverChallenge: Uint8Array;
  targetName: string;
  targetInfo: Uint8Array;
  version: Uint8Array;
}): Uint8Array {
  const name = Buffer.from(input.targetName, charset(input.flags));
  const bytes = new Uint8Array(challengeMessage.size + name.length + input.targetInfo.length);
  const infoOffset = challengeMessage.size + name.length;
  challengeMessage.write(bytes, {
    signature: NTLM_SIGNATURE,
    type: 2,
    targetNameLength: name.length,
    targetNameLengthMax: name.length,
    targetNameOffset: challengeMessage.size,
    flags: input.flags,
    serverChallenge: input.serverChallenge,
    targetInfoLength: input.targetInfo.length,
    targetInfoLengthMax: input.targetInfo.length,
    targetInfoOffset: infoOffset,
    version: input.version,
  });
  bytes.set(name, challengeMessage.size);
  bytes.set(input.targetInfo, infoOffset);
  return bytes;
}

/** `undefined` when the message is cut short or a field points outside it. */
export function readAuthenticate(bytes: Uint8Array): Authenticate | undefined {
  if (bytes.length < authenticateMessage.size) return undefined;
  const head: StructOf<typeof authenticateMessage> = authenticateMessage.read(bytes);
  const field = (length: number, offset: number): Buffer | undefined =>
    offset + length <= bytes.length ? Buffer.from(bytes.subarray(offset, offset + length)) : undefined;
  const ntResponse = field(head.ntLength, head.ntOffset);
  const domain = field(head.domainLength, head.domainOffset)?.toString(charset(head.flags));
  const user = field(head.userLength, head.userOffset)?.toString(charset(head.flags));
  const encryptedKey = field(head.keyLength, head.keyOffset);
  if (!ntResponse || domain === undefined || user === undefined || !encryptedKey) return undefined;
  return { ntResponse, domain, user, encryptedKey, flags: head.flags, mic: head.mic };
}

/** Names outside of AV pairs are UTF-16 unless only the OEM character set was negotiated. */
function charset(flags: number): BufferEncoding {
  return (flags & NTLM_FLAGS.unicode) === 0 ? 'latin1' : 'utf16le';
}

export function writeAvPairs(pairs: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const parts = [...pairs, [AV.end, new Uint8Array()] as const].map(([id, value]) => {
    const part = Buffer.alloc(4 + value.length);
    part.writeUInt16LE(id, 0);
    part.writeUInt16LE(value.length, 2);
    part.set(value, 4);
    return part;
  });
  return Buffer.concat(parts);
}

/** Reads up to the end marker; what does not fit ends the list, as the proof over the bytes decides anyway. */
export function readAvPairs(bytes: Uint8Array): Map<number, Uint8Array> {
  const pairs = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let at = 0; at + 4 <= bytes.length;) {
    const id = view.getUint16(at, true);
    const end = at + 4 + view.getUint16(at + 2, true);
    if (id === AV.end || end > bytes.length) break;
    pairs.set(id, bytes.subarray(at + 4, end));
    at = end;
  }
  return pairs;
}
