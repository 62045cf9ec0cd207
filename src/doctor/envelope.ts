/** How large one message may be: what the service is set to, and the largest answer that did arrive. */
import { hasCode, KiB } from '../base/index.ts';
import type { WinrmSession } from '../winrm/index.ts';
import { doctorFaults } from './faults.ts';
import { ok, unproved, warning, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';

const ENVELOPE: Check = { id: 'envelope', title: 'message size' };
/** What Windows comes with, and what hvlift asks for. */
const KIB_MIN = 500;
/** The smallest limit documented for a host. An answer beyond it shows that it is not in force. */
const SMALLEST_KIB = 150;

export interface EnvelopeOptions {
  readonly session: WinrmSession;
  readonly context: FixContext;
  readonly signal: AbortSignal;
  /** Bytes of the largest answer so far. */
  readonly largestAnswer: number;
}

export async function envelope(options: EnvelopeOptions): Promise<Finding> {
  const { context, largestAnswer } = options;
  const kib = await configured(options);
  const arrived = `the largest answer had ${Math.ceil(largestAnswer / KiB)} KiB`;
  if (kib !== undefined && kib < KIB_MIN) {
    return warning(ENVELOPE, doctorFaults.envelopeSmall({ host: context.host, kib }), context);
  }
  if (kib !== undefined) return ok(ENVELOPE, `MaxEnvelopeSizekb is ${kib}; ${arrived}`);
  if (largestAnswer > SMALLEST_KIB * KiB) return ok(ENVELOPE, `${arrived}, so it is no small limit`);
  return unproved(ENVELOPE, `only administrators may read MaxEnvelopeSizekb; ${arrived}`);
}

async function configured({ session, signal }: EnvelopeOptions): Promise<number | undefined> {
  try {
    return (await session.serviceSettings({ signal })).maxEnvelopeKiB;
  } catch (error) {
    if (hasCode(error, 'WINRM_ACCESS_DENIED', 'WINRM_NOT_FOUND')) return undefined;
    throw error;
  }
}
