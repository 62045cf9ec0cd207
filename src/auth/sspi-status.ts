/** What Windows says went wrong, made one of our faults. winerror.h, SEC_E_…. */
import type { Fault } from '../base/index.ts';
import { kerberosFaults, sspiFaults } from './faults.ts';
import type { LogOnNames } from './gss-status.ts';

/** One failed call. */
export class SspiError extends Error {
  readonly status: number;

  constructor(name: string, status: number) {
    super(`${name} answered 0x${status.toString(16)}`);
    this.status = status;
  }
}

type Situation = keyof typeof kerberosFaults;

const BY_STATUS: ReadonlyMap<number, Situation> = new Map([
  [0x8009_0303, 'serviceUnknown'], // TARGET_UNKNOWN
  [0x8009_030c, 'passwordRefused'], // LOGON_DENIED
  [0x8009_030d, 'noTicket'], // UNKNOWN_CREDENTIALS
  [0x8009_030e, 'noTicket'], // NO_CREDENTIALS
  [0x8009_0311, 'serverUnreachable'], // NO_AUTHENTICATING_AUTHORITY
  [0x8009_0317, 'ticketExpired'], // CONTEXT_EXPIRED
  [0x8009_0322, 'serviceRefused'], // WRONG_PRINCIPAL
  [0x8009_0324, 'clockSkew'], // TIME_SKEW
  [0x8009_033e, 'accountRefused'], // SMARTCARD_LOGON_REQUIRED
  [0x8009_0342, 'tooWeak'], // KDC_UNKNOWN_ETYPE
  [0x8009_0346, 'bindingRefused'], // BAD_BINDINGS
]);

export function sspiFault(error: SspiError, names: LogOnNames): Fault {
  const situation = BY_STATUS.get(error.status);
  const details = { ...names, reason: error.message, weakness: 'no encryption type that both sides allow' };
  return situation ? kerberosFaults[situation](details) : sspiFaults.failed(details);
}
