/** A whole stack for tests: an emulated host behind its wire, and our client, host files and capture in front of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { INSTANT, LabHost, type LabSettings } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { createHyperVSource, type PlanningSource } from '../../src/capture/index.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';
import { createHyperV, type HyperV } from '../../src/hyperv/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';

export interface LabStack extends AsyncDisposable {
  readonly lab: LabHost;
  readonly hyperv: HyperV;
  readonly source: PlanningSource;
}

export async function openLabStack(settings: LabSettings = {}): Promise<LabStack> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-'));
  const lab = await LabHost.open(folder, { settings: { ...INSTANT, ...settings } });
  const account = { user: 'Administrator', password: 'Passw0rd of a test' };
  const wire = await startWire({ provider: lab.provider, users: [account] });
  const session = await openWinrm({ url: wire.url, credentials: account });
  const files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
  const hyperv = createHyperV(session, { pollMs: 5 });
  return {
    lab,
    hyperv,
    source: createHyperVSource({ hyperv, files, hostName: 'HV01' }),
    async [Symbol.asyncDispose]() {
      await files.close();
      await session.close();
      await wire.close();
      await lab.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whoever else works on the host. */
const STRANGER = { user: 'HV01\\Somebody' };
const RECOVERY = 32_768;
const FULL = 2;

/** A checkpoint that is not ours; one of a backup has the name the host gives by itself. */
export async function strangersCheckpoint(
  lab: LabHost,
  vmId: string,
  kind: 'recovery' | 'user' = 'recovery',
): Promise<void> {
  const service = { className: 'Msvm_VirtualSystemSnapshotService', keys: {} };
  const AffectedSystem = { className: 'Msvm_ComputerSystem', keys: { Name: vmId } };
  const SnapshotType = kind === 'recovery' ? RECOVERY : FULL;
  await lab.provider.invoke(service, 'CreateSnapshot', { AffectedSystem, SnapshotType }, STRANGER);
  await lab.settle();
}

/** Every method that is called from now on; those that change something, by `changes`. */
export function callLog(lab: LabHost): { changes(): string[] } {
  const called: string[] = [];
  const invoke = lab.provider.invoke.bind(lab.provider);
  Object.assign(lab.provider, {
    invoke: (...call: Parameters<typeof invoke>) => {
      called.push(call[1]);
      return invoke(...call);
    },
  });
  return { changes: () => called.filter((method) => !method.startsWith('Get')) };
}
