/** What the WinRM service shows before anybody logs on: that it is one, what it offers, its certificate, its clock. */
import { probeWinrm, type ShownCertificate, type WinrmProbe } from '../winrm/index.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, unproved, warning, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';
import type { DoctorTarget } from './target.ts';

/** Kerberos refuses at five; a clock that is off by two is on its way there. NTLM takes more, so the log-on decides. */
const CLOCK_MINUTES_MAX = 2;
/** A renewal takes people, and those have holidays. */
const CERTIFICATE_DAYS_WARN = 30;
const DAY_MS = 86_400_000;

const SERVICE: Check = { id: 'service', title: 'WinRM service' };
const CERTIFICATE: Check = { id: 'certificate', title: 'certificate' };
const CLOCK: Check = { id: 'clock', title: 'clock' };

/** Returns whether somebody answered as a WinRM service would. */
export async function* service(
  { winrm }: DoctorTarget,
  context: FixContext,
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  let probe: WinrmProbe;
  try {
    probe = await probeWinrm({ ...winrm, signal });
  } catch (error) {
    signal.throwIfAborted();
    const { code } = error as { code?: unknown };
    yield failed(/^WINRM_(CERTIFICATE|TLS)/.test(String(code)) ? CERTIFICATE : SERVICE, error, context);
    return false;
  }
  yield ok(SERVICE, `answers and offers ${probe.offers.join(', ') || 'nothing'}`);
  if (probe.certificate) yield certificate(probe.certificate, context, winrm.insecure ?? false);
  yield clock(probe.clockAheadMs, context);
  return true;
}

export function certificate(shown: ShownCertificate, context: FixContext, insecure: boolean): Finding {
  const { subject, validTo, fingerprint256 } = shown;
  const days = Math.floor((validTo.getTime() - Date.now()) / DAY_MS);
  const date = validTo.toISOString().slice(0, 10);
  if (days < CERTIFICATE_DAYS_WARN) {
    return warning(CERTIFICATE, doctorFaults.certificateEnds({ host: context.host, days, date }), context);
  }
  const trust = insecure ? 'not checked, because `insecure` is set' : 'trusted';
  return ok(
    CERTIFICATE,
    `${subject.replaceAll('\n', ', ')}, ${trust}, ends ${date}, SHA-256 ${fingerprint256}`,
  );
}

export function clock(aheadMs: number | undefined, context: FixContext): Finding {
  if (aheadMs === undefined) return unproved(CLOCK, 'the answer of the host says no time');
  const minutes = Math.abs(aheadMs) / 60_000;
  const seen = `${Math.round(Math.abs(aheadMs) / 1000)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (minutes < CLOCK_MINUTES_MAX) return ok(CLOCK, seen);
  const direction = aheadMs < 0 ? 'behind' : 'ahead of';
  const fault = doctorFaults.clockOff({ host: context.host, minutes: minutes.toFixed(1), direction });
  return warning(CLOCK, fault, context);
}
