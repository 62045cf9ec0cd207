/** A host approached, and looked at from the inside once somebody is logged on. */
import { parseAddress } from '../winrm/index.ts';
import { approach } from './approach.ts';
import { failed, skipped, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';
import type { DoctorTarget } from './target.ts';
import type { WindowsLook } from './windows.ts';

const INSIDE: Check = { id: 'inside', title: 'the host itself' };

export interface Visit {
  readonly look: WindowsLook;
  readonly target: DoctorTarget;
  /** Bytes of the largest answer so far. */
  readonly largestAnswer: () => number;
}

/** Throws the signal's reason, and nothing that a host can cause. */
export async function* visit(
  target: DoctorTarget,
  signal: AbortSignal,
  inside: (visit: Visit) => AsyncGenerator<Finding, void>,
): AsyncGenerator<Finding, void> {
  const { host, tls } = parseAddress(target.winrm.url);
  const context: FixContext = { user: target.winrm.credentials?.user ?? 'DOMAIN\\name', host, tls };
  let largestAnswer = 0;
  const tap = ({ answer }: { answer: string }): void => {
    largestAnswer = Math.max(largestAnswer, Buffer.byteLength(answer));
  };
  const session = yield* approach({ target, context, signal, tap });
  if (!session) {
    yield skipped(INSIDE, 'not looked at: nobody could log on');
    return;
  }
  const look = { session, context, signal };
  try {
    yield* inside({ look, target, largestAnswer: () => largestAnswer });
  } catch (error) {
    signal.throwIfAborted();
    yield failed(INSIDE, error, context);
  } finally {
    await session.close();
  }
}
