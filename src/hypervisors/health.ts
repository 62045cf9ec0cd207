/**
 * Whether a machine that was started does what it is there for.
 *
 *   serial    its guest wrote a text to its first serial port: the sign that says most
 *   port      a TCP port of its guest answers, on a `forwarded` network
 *   address   a TCP port answers at an address that the guest has there, asked from this machine: for one that is on a real network
 *   running   it still runs after a while: the sign that says least
 *
 * Whatever is waited for, a machine that ended or stands still is not healthy, and that is known at once.
 */
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { KiB, sleep } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Hypervisor, OwnedMachine } from './port.ts';

export type HealthProbe =
  | { readonly kind: 'serial'; readonly text: string }
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'address'; readonly host: string; readonly port: number }
  | { readonly kind: 'running' };

export type Health =
  | { readonly healthy: true; readonly seconds: number }
  | {
      readonly healthy: false;
      readonly seconds: number;
      /** `time-limit`: it runs, and what was waited for did not come. */
      readonly reason: 'time-limit' | 'off' | 'crashed' | 'paused' | 'absent';
    };

export interface HealthRequest extends CallOptions {
  readonly probe: HealthProbe;
  /** How long to wait; with `running`, how long it has to run. */
  readonly limitMs: number;
}

const LOOK_MS = 200;
/** A question to libvirt takes a process each time, so after a while it is asked less often. */
const LOOK_MS_MAX = 1_000;
const SERIAL_CHUNK = 64 * KiB;
/** A guest that is not there yet answers nothing at all. */
const CONNECT_MS = 2_000;
/** In one look: a guest may write faster than is read, and the time limit counts all the same. */
const CHUNKS_MAX = 64;

/** Seconds are counted from the call. A serial port is looked at from the beginning of its log, which must be on this machine. */
export async function waitUntilHealthy(
  hypervisor: Hypervisor,
  machine: OwnedMachine,
  { probe, limitMs, signal }: HealthRequest,
): Promise<Health> {
  const started = performance.now();
  const sign = signOf(hypervisor, machine, probe);
  for (let pause = LOOK_MS; ; pause = Math.min(LOOK_MS_MAX, pause * 1.1)) {
    // Asked first: what a guest wrote before it ended, its log still has.
    const state = await hypervisor.state(machine.uuid, { signal });
    const isThere = await sign({ signal });
    const seconds = (performance.now() - started) / 1000;
    if (isThere) return { healthy: true, seconds };
    if (state !== 'running') return { healthy: false, seconds, reason: state };
    if (seconds * 1000 >= limitMs)
      return probe.kind === 'running'
        ? { healthy: true, seconds }
        : { healthy: false, seconds, reason: 'time-limit' };
    await sleep(Math.min(pause, Math.max(1, limitMs - seconds * 1000)), signal);
  }
}

type Sign = (options: CallOptions) => Promise<boolean>;

function signOf(hypervisor: Hypervisor, machine: OwnedMachine, probe: HealthProbe): Sign {
  if (probe.kind === 'serial') return serialSign(machine.serialLog, probe.text);
  if (probe.kind === 'port')
    return async (options) => (await hypervisor.reaches?.(machine.uuid, probe.port, options)) ?? false;
  if (probe.kind === 'address') return (options) => answers(probe, options);
  return async () => false;
}

/** A connection is made; what is said over it is not looked at. */
async function answers(
  { host, port }: { readonly host: string; readonly port: number },
  { signal }: CallOptions,
): Promise<boolean> {
  const limit = AbortSignal.timeout(CONNECT_MS);
  const socket = createConnection({ host, port });
  try {
    await once(socket, 'connect', { signal: signal ? AbortSignal.any([signal, limit]) : limit });
    return true;
  } catch {
    signal?.throwIfAborted();
    return false;
  } finally {
    // Its name may still be looked up, which may fail later.
    socket.on('error', () => {}).destroy();
  }
}

/** Reads on where it stopped; a text may lie across two reads. */
function serialSign(path: string | undefined, text: string): Sign {
  const wanted = Buffer.from(text);
  const buffer = Buffer.alloc(SERIAL_CHUNK + wanted.length);
  let offset = 0;
  let kept = 0;
  return async () => {
    const file = path === undefined ? undefined : await open(path).catch(() => undefined);
    try {
      for (let chunk = 0; chunk < CHUNKS_MAX; chunk += 1) {
        const { bytesRead = 0 } = (await file?.read(buffer, kept, SERIAL_CHUNK, offset)) ?? {};
        if (bytesRead === 0) return false;
        offset += bytesRead;
        const seen = buffer.subarray(0, kept + bytesRead);
        if (seen.includes(wanted)) return true;
        kept = Math.min(seen.length, wanted.length - 1);
        seen.copy(buffer, 0, seen.length - kept);
      }
      return false;
    } finally {
      await file?.close();
    }
  };
}
