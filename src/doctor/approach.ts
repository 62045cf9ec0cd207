/** The way to a host up to a session on it: name, ports, service, log-on. */
import type { WinrmSession, WireTap } from '../winrm/index.ts';
import type { Finding } from './finding.ts';
import { logOn } from './log-on.ts';
import type { FixContext } from './powershell.ts';
import { names, ports } from './reach.ts';
import { service } from './service.ts';
import type { DoctorTarget } from './target.ts';

export interface ApproachOptions {
  readonly target: DoctorTarget;
  readonly context: FixContext;
  readonly signal: AbortSignal;
  readonly tap: WireTap;
}

/** Returns the session, which the caller closes; `undefined` when nobody could log on. */
export async function* approach(options: ApproachOptions): AsyncGenerator<Finding, WinrmSession | undefined> {
  return (yield* isAnswered(options)) ? yield* logOn(options) : undefined;
}

/** Returns whether a WinRM service answers. */
async function* isAnswered({ target, context, signal }: ApproachOptions): AsyncGenerator<Finding, boolean> {
  if (!(yield* names(target, context, signal))) return false;
  const open = yield* ports(target, context, signal);
  // Files are not needed to look further, the way to WinRM is: a tunnel, where no port of its own is named.
  const way = target.ports.some(({ use }) => use === 'winrm') ? 'winrm' : 'ssh';
  return open.has(way) && (yield* service(target, context, signal));
}
