/** One fake host with its clock and session, and the module under test on top. */
import { createHyperV, type HyperV } from '../hyperv.ts';
import { FakeClock } from './clock.fixture.ts';
import { FakeHost } from './fake-host.fixture.ts';
import { FakeSession } from './fake-session.fixture.ts';

export interface Rig {
  readonly clock: FakeClock;
  readonly host: FakeHost;
  readonly session: FakeSession;
  readonly hyperv: HyperV;
}

export function rig(): Rig {
  const clock = new FakeClock();
  const host = new FakeHost(clock);
  const session = new FakeSession(host);
  return { clock, host, session, hyperv: createHyperV(session, { clock, pollMs: 100 }) };
}
