/** Can the host be found, and do its ports answer? Nothing is sent to them. */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { failureReason, hasCode, unlessAborted, withTimeout } from '../base/index.ts';
import { doctorFaults } from './faults.ts';
import { failed, ok, type Check, type Finding } from './finding.ts';
import type { FixContext } from './powershell.ts';
import type { DoctorPort, DoctorTarget } from './target.ts';

const ANSWER_MS_MAX = 10_000;
const USES: Readonly<Record<DoctorPort['use'], string>> = { winrm: 'WinRM', smb: 'SMB', ssh: 'SSH' };

/** Returns whether every name is known. */
export async function* names(
  { ports }: DoctorTarget,
  context: FixContext,
  signal: AbortSignal,
): AsyncGenerator<Finding, boolean> {
  let known = true;
  for (const host of new Set(ports.map((port) => port.host))) {
    const finding = await name(host, context, signal);
    known &&= finding.state === 'ok';
    yield finding;
  }
  return known;
}

async function name(host: string, context: FixContext, signal: AbortSignal): Promise<Finding> {
  const check: Check = { id: 'name', title: 'name' };
  if (isIP(host) !== 0) return ok(check, `${host} is an address; Kerberos needs a name`);
  using deadline = withTimeout(ANSWER_MS_MAX, `looking up ${host}`, signal);
  try {
    const addresses = await unlessAborted(lookup(host, { all: true }), deadline.signal, () => undefined);
    return ok(check, `${host} is ${addresses.map(({ address }) => address).join(', ')}`);
  } catch (cause) {
    signal.throwIfAborted();
    return failed(
      check,
      doctorFaults.nameUnknown({ host, reason: failureReason(cause) }, { cause }),
      context,
    );
  }
}

/** Returns the uses whose port answers. */
export async function* ports(
  target: DoctorTarget,
  context: FixContext,
  signal: AbortSignal,
): AsyncGenerator<Finding, ReadonlySet<DoctorPort['use']>> {
  const open = new Set<DoctorPort['use']>();
  for (const port of target.ports) {
    const check: Check = { id: `port-${port.use}`, title: `port ${port.port} (${USES[port.use]})` };
    try {
      await touch(port, signal);
      open.add(port.use);
      yield ok(check, `${port.host} answers`);
    } catch (cause) {
      signal.throwIfAborted();
      const reason = hasCode(cause, 'RUN_TIMED_OUT')
        ? 'no answer; a firewall may drop it'
        : failureReason(cause);
      yield failed(check, doctorFaults.portClosed({ ...port, reason }, { cause }), context);
    }
  }
  return open;
}

async function touch({ host, port }: DoctorPort, signal: AbortSignal): Promise<void> {
  using deadline = withTimeout(ANSWER_MS_MAX, `connecting to ${host}`, signal);
  const socket = connect({ host, port });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
      deadline.signal.addEventListener('abort', () => reject(deadline.signal.reason), { once: true });
    });
  } finally {
    socket.destroy();
  }
}
