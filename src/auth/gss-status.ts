/** What the GSSAPI says went wrong, made one of our faults. RFC 2744 3.9.1, RFC 4120 7.5.9. */
import type { Fault } from '../base/index.ts';
import { kerberosFaults } from './faults.ts';

/** One failed call of the library. */
export class GssError extends Error {
  readonly major: number;
  readonly minor: number;

  constructor(major: number, minor: number, text: string) {
    super(text);
    this.major = major;
    this.minor = minor;
  }
}

export interface LogOnNames {
  readonly user: string;
  readonly host: string;
  readonly service: string;
}

type Situation = Exclude<keyof typeof kerberosFaults, 'unavailable' | 'noPrincipal' | 'timedOut'>;

/** Error n of RFC 4120 is this much lower in MIT Kerberos; its own errors begin at 128. */
const KRB5_BASE = -1_765_328_384;
/** The table of MIT's GSSAPI layer. */
const GSS_BASE = 39_756_032;

const BY_MINOR: ReadonlyMap<number, Situation> = new Map(
  (
    [
      ['accountRefused', [1, 6, 12, 18, 21, 23]], // expired, unknown, policy, revoked, not yet valid, password expired
      ['serviceUnknown', [7]],
      ['tooWeak', [14]],
      ['passwordRefused', [24, 31, 210]], // pre-authentication failed, bad integrity, KRB5_PREAUTH_FAILED
      ['ticketExpired', [32]],
      ['serviceRefused', [35, 40, 41, 44, 45]], // not us, message type, modified, key version, no key
      ['clockSkew', [33, 37, 148]], // not yet valid, skew, KRB5_KDCREP_SKEW
      ['serverUnreachable', [68, 154, 156, 220, 224]], // wrong realm, realm unknown, unreachable, not resolved, no default
      ['noTicket', [141, 194, 195]], // KRB5_CC_NOTFOUND, KRB5_FCC_PERM, KRB5_FCC_NOFILE
      ['keytabUnusable', [181]], // KRB5_KT_NOTFOUND
    ] as const
  ).flatMap(([situation, codes]) => codes.map((code) => [KRB5_BASE + code, situation] as const)),
);

/** The routine error of a major status: bits 16 to 23. */
const BY_ROUTINE: ReadonlyMap<number, Situation> = new Map([
  [4, 'bindingRefused'],
  [7, 'noTicket'],
  [11, 'ticketExpired'],
  [12, 'ticketExpired'],
]);

export function isFailure(major: number): boolean {
  return major >>> 16 !== 0;
}

/** Texts are only shown. `keytab`: the file the key came from, when it was one. */
export function kerberosFault(error: GssError, names: LogOnNames, keytab?: string): Fault {
  const routine = BY_ROUTINE.get((error.major >>> 16) & 0xff);
  const found = BY_MINOR.get(error.minor) ?? routine ?? (isOwn(error.minor) ? 'noTicket' : 'failed');
  const situation = found === 'noTicket' && keytab !== undefined ? 'keytabUnusable' : found;
  const weakness = 'no encryption type that both sides allow';
  return kerberosFaults[situation]({ ...names, keytab, weakness, reason: error.message });
}

/** MIT: an empty ticket cache, or one (or a keytab) of somebody else. */
function isOwn(minor: number): boolean {
  return minor > GSS_BASE && minor < GSS_BASE + 256;
}
