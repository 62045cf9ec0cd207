/** The emulated host as a process of its own, as `hvlift lab start` runs it: nothing of it is shared with what backs it up. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connectLab, type LabAddress, type LabClient } from '../control/index.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export interface LabProcess extends AsyncDisposable {
  readonly address: LabAddress;
  /** Steers the host: its VMs, guests and ground truth. */
  readonly client: LabClient;
}

/** `onStart` is given what ends the process at once, without a goodbye. */
export async function startLab(folder: string, onStart?: (kill: () => void) => void): Promise<LabProcess> {
  const child = spawn(
    process.execPath,
    [
      '-C',
      'source',
      MAIN,
      'start',
      '--folder',
      folder,
      '--instant',
      '--stop-with-stdin',
      '--language',
      'en-US',
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  onStart?.(() => void child.kill('SIGKILL'));
  try {
    const address = await addressOf(child);
    const client = await connectLab(address);
    const stop = async (): Promise<void> => {
      child.kill('SIGTERM');
      await ended(child);
    };
    return { address, client, [Symbol.asyncDispose]: stop };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function addressOf(child: ChildProcess): Promise<LabAddress> {
  const line = once(createInterface(child.stdout!), 'line') as Promise<[string]>;
  const gone = once(child, 'exit').then(() => undefined);
  const first = await Promise.race([line, gone]);
  if (!first) throw new Error('the emulated host did not start');
  return JSON.parse(first[0]) as LabAddress;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
