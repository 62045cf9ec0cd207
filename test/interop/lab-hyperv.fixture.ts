/**
 * `src/hyperv` over the real WinRM client against the emulated host. The module's clock runs 200 times faster than the
 * lab's: its waits for late effects (20 s) would otherwise be the test's.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTANT, LabHost, type LabSettings } from '../../lab/model/index.ts';
import { startWire, type WireTraits } from '../../lab/wire/index.ts';
import { sleep } from '../../src/base/index.ts';
import { createHyperV, type HyperV, type HyperVClock } from '../../src/hyperv/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';

const SPEED = 200;
const fastClock: HyperVClock = {
  now: () => performance.now() * SPEED,
  sleep: (milliseconds, signal) => sleep(milliseconds / SPEED, signal),
};

export interface LabHyperV extends AsyncDisposable {
  readonly lab: LabHost;
  readonly hyperv: HyperV;
  /** The same host as an account sees it whose rights UAC has filtered. */
  readonly filtered: HyperV;
}

export async function openLabHyperV(
  settings: LabSettings = {},
  traits: Partial<WireTraits> = {},
): Promise<LabHyperV> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-hyperv-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const lab = await LabHost.open(folder, { settings: { ...INSTANT, ...settings } });
  parts.defer(() => lab.close());
  const administrator = { user: 'Administrator', password: 'Passw0rd of a test' };
  const limited = { user: 'limited', password: 'Passw0rd of a test' };
  const users = [administrator, { ...limited, filtered: true }];
  const wire = await startWire({ provider: lab.provider, users, traits });
  parts.defer(() => wire.close());
  const connect = async (credentials: { user: string; password: string }): Promise<HyperV> => {
    const session = await openWinrm({ url: wire.url, credentials });
    parts.defer(() => session.close());
    return createHyperV(session, { clock: fastClock, pollMs: 100 });
  };
  const [hyperv, filtered] = [await connect(administrator), await connect(limited)];
  const owned = parts.move();
  return { lab, hyperv, filtered, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
