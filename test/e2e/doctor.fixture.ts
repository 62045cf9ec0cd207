/** A host of the lab in this process, and a diagnosis of it as the program would make it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTANT, LabHost, type LabSettings } from '../../lab/model/index.ts';
import { startWire, type Wire, type WireFaults, type WireTraits } from '../../lab/wire/index.ts';
import { diagnose, type DoctorTarget, type Finding } from '../../src/doctor/index.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';
import { createHyperV, type HyperV } from '../../src/hyperv/index.ts';
import { openWinrm, type WinrmSession } from '../../src/winrm/index.ts';

export const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };
/** UAC has filtered its rights. */
export const FILTERED = { user: 'limited', password: 'Passw0rd of a test' };

export interface DoctorRig extends AsyncDisposable {
  readonly lab: LabHost;
  readonly wire: Wire;
  readonly faults: WireFaults;
  readonly target: DoctorTarget;
  /** Another client of the host: what it does is no part of the diagnosis. */
  readonly session: WinrmSession;
  readonly hyperv: HyperV;
  /** By id. */
  findings(changes?: Partial<DoctorTarget>): Promise<ReadonlyMap<string, Finding>>;
}

export async function openDoctorRig(
  settings: LabSettings = {},
  traits: Partial<WireTraits> = {},
): Promise<DoctorRig> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const lab = await LabHost.open(folder, { settings: { ...INSTANT, ...settings } });
  parts.defer(() => lab.close());
  const faults: WireFaults = [];
  const users = [ACCOUNT, { ...FILTERED, filtered: true }];
  const wire = await startWire({ provider: lab.provider, users, traits, faults });
  parts.defer(() => wire.close());
  const session = parts.use(await openWinrm({ url: wire.url, credentials: ACCOUNT }));
  const mappings = [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }];
  const target: DoctorTarget = {
    winrm: { url: wire.url, credentials: ACCOUNT },
    ports: [{ use: 'winrm', host: '127.0.0.1', port: wire.port }],
    openFiles: () => createFsHostFiles({ mappings }),
  };
  const owned = parts.move();
  return {
    lab,
    wire,
    faults,
    target,
    session,
    hyperv: createHyperV(session, { pollMs: 5 }),
    async findings(changes = {}) {
      const found = await Array.fromAsync(diagnose({ ...target, ...changes }, new AbortController().signal));
      return new Map(found.map((finding) => [finding.id, finding]));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
