/** `hvlift doctor` and `hvlift record`: a host looked at, reached as it is configured; loaded by those who ask for it. */
import type { DoctorPort, DoctorTarget, NodeTarget } from '../doctor/index.ts';
import type { HostFiles } from '../hostfile/index.ts';
import { parseAddress } from '../winrm/index.ts';
import type { Engine, HostAccess } from './engine.ts';
import { openStoreOnce } from './repository-store.ts';
import { nodeAccess } from './node-access.ts';
import { hostFiles, wayToWinrm, winrmOptions } from './host-access.ts';

const SMB_PORT = 445;

export const doctorEngine: Pick<Engine, 'diagnose' | 'diagnoseRepository' | 'record'> = {
  async *diagnose(access, { signal }) {
    const { diagnose } = await import('../doctor/index.ts');
    await using target = await targetOf(access);
    const nodeOf: DoctorTarget['nodeOf'] = (facts, node) => targetOf(nodeAccess(access, facts, node));
    yield* diagnose({ ...target, nodeOf }, signal);
  },
  async *diagnoseRepository(access, { signal }) {
    const { diagnoseRepository } = await import('../doctor/index.ts');
    const target = { address: access.path, open: () => openStoreOnce(access, { signal }) };
    yield* diagnoseRepository(target, signal);
  },
  async record({ host, to, vm }, { signal }) {
    const { record } = await import('../recording/index.ts');
    const way = wayToWinrm(host);
    try {
      return await record({ winrm: await winrmOptions(host, way), to, vm, signal });
    } finally {
      await way.close();
    }
  },
};

async function targetOf(access: HostAccess): Promise<NodeTarget> {
  const way = wayToWinrm(access);
  try {
    const winrm = await winrmOptions(access, way);
    const openFiles = (): HostFiles => hostFiles(access);
    return { winrm, ports: portsOf(access), openFiles, [Symbol.asyncDispose]: () => way.close() };
  } catch (error) {
    await way.close();
    throw error;
  }
}

/** Those that are reached from here: through a tunnel, WinRM is not. */
function portsOf({ url, viaSsh, files, ssh }: HostAccess): DoctorPort[] {
  const { host, port } = parseAddress(url);
  return [
    ...(viaSsh ? [] : [{ use: 'winrm', host, port } as const]),
    ...(files.kind === 'smb' ? [{ use: 'smb', host, port: files.port ?? SMB_PORT } as const] : []),
    ...(ssh ? [{ use: 'ssh', host: ssh.host, port: ssh.port } as const] : []),
  ];
}
