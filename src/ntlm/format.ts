/** The three NTLM messages and what they carry. MS-NLMP 2.2. */
import { ascii, raw, struct, u32, viewOf, type Field } from '../base/index.ts';

/** MS-NLMP 2.2.2.5. */
export const NTLM_FLAGS = {
  unicode: 0x1,
  requestTarget: 0x4,
  sign: 0x10,
  seal: 0x20,
  ntlm: 0x200,
  alwaysSign: 0x8000,
  extendedSessionSecurity: 0x80000,
  version: 0x2000000,
  keyLength128: 0x20000000,
  keyExchange: 0x40000000,
  keyLength56: 0x80000000,
} as const;

/** MS-NLMP 2.2.2.1: ids of the AV pairs this client reads or writes. */
export const AV = { endOfList: 0, flags: 6, timestamp: 7, targetName: 9, channelBindings: 10 } as const;
/** AV flags: the AUTHENTICATE message carries a MIC. */
export const AV_FLAG_MIC = 0x2;

export const NTLM_SIGNATURE = 'NTLMSSP\0';
/** MS-NLMP 2.2.2.10: 10.0, build 17763 (Server 2019), revision 15. For debugging only, says the specification. */
export const NTLM_VERSION = Uint8Array.of(10, 0, 0x63, 0x45, 0, 0, 0, 15);

/** MS-NLMP 2.2.1: length, maximum length (the same), offset of a run of the payload. */
export interface PayloadSpan {
  readonly length: number;
  readonly offset: number;
}
const span = (offset: number): Field<PayloadSpan> => ({
  offset,
  size: 8,
  get: (view, at, little) => ({ length: view.getUint16(at, little), offset: view.getUint32(at + 4, little) }),
  set(view, at, little, value) {
    view.setUint16(at, value.length, little);
    view.setUint16(at + 2, value.length, little);
    view.setUint32(at + 4, value.offset, little);
  },
});

export const negotiateMessage = struct('NTLM NEGOTIATE_MESSAGE', 40, {
  signature: ascii(0, 8),
  type: u32(8),
  flags: u32(12),
  domain: span(16),
  workstation: span(24),
  version: raw(32, 8),
});

/** Without the version field, which a server may leave out; nothing reads it. */
export const challengeMessage = struct('NTLM CHALLENGE_MESSAGE', 48, {
  signature: ascii(0, 8),
  type: u32(8),
  targetName: span(12),
  flags: u32(20),
  serverChallenge: raw(24, 8),
  targetInfo: span(40),
});

export const authenticateMessage = struct('NTLM AUTHENTICATE_MESSAGE', 88, {
  signature: ascii(0, 8),
  type: u32(8),
  lmResponse: span(12),
  ntResponse: span(20),
  domain: span(28),
  user: span(36),
  workstation: span(44),
  sessionKey: span(52),
  flags: u32(60),
  version: raw(64, 8),
  mic: raw(72, 16),
});

export interface AvPair {
  readonly id: number;
  readonly value: Uint8Array;
}

/** The pairs before the end mark; `undefined` when a length leaves `bytes` or the end mark is missing. */
export function readAvPairs(bytes: Uint8Array): AvPair[] | undefined {
  const view = viewOf(bytes);
  const pairs: AvPair[] = [];
  for (let at = 0; at + 4 <= bytes.length;) {
    const id = view.getUint16(at, true);
    const end = at + 4 + view.getUint16(at + 2, true);
    if (id === AV.endOfList) return pairs;
    if (end > bytes.length) return undefined;
    pairs.push({ id, value: bytes.subarray(at + 4, end) });
    at = end;
  }
  return undefined;
}

export function writeAvPairs(pairs: readonly AvPair[]): Uint8Array {
  const all = [...pairs, { id: AV.endOfList, value: new Uint8Array(0) }];
  return Buffer.concat(
    all.flatMap(({ id, value }) => [littleEndian16(id), littleEndian16(value.length), value]),
  );
}

function littleEndian16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

export function utf16(text: string): Uint8Array {
  return Buffer.from(text, 'utf16le');
}
