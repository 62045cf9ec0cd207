/**
 * Whether a port of a guest answers, by a network that QEMU makes for it alone.
 *
 * QEMU takes a connection before it has asked the guest, so that one was made says nothing: what counts is a byte from the guest,
 * or that QEMU's own list has the connection as one that the guest accepted.
 */
import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { sleep } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { QemuProcess } from './qemu-process.ts';

/** A guest under emulation takes a while; each try asks its network anew. */
const TRY_MS = 2_000;
const LOOK_MS = 100;
/** Of a connection that the guest accepted, and may have ended since. */
const ACCEPTED = [
  'ESTABLISHED',
  'CLOSE_WAIT',
  'FIN_WAIT_1',
  'FIN_WAIT_2',
  'LAST_ACK',
  'CLOSING',
  'TIME_WAIT',
];

export class ForwardedPort {
  readonly #process: QemuProcess;
  readonly #port: number;

  constructor(process: QemuProcess, port: number) {
    this.#process = process;
    this.#port = port;
  }

  async answers(options: CallOptions = {}): Promise<boolean> {
    const local = (await this.#connections(options)).find(({ state }) => state === 'HOST_FORWARD')?.local;
    if (local === undefined) return false;
    const socket = createConnection({ host: '127.0.0.1', port: local });
    try {
      return await this.#accepted(socket, options);
    } finally {
      socket.destroy();
    }
  }

  async #accepted(socket: Socket, options: CallOptions): Promise<boolean> {
    socket.on('error', () => {}).resume();
    const connected = once(socket, 'connect').then(
      () => true,
      () => false,
    );
    if (!(await connected)) return false;
    for (let waited = 0; waited < TRY_MS && socket.bytesRead === 0 && !socket.closed; waited += LOOK_MS) {
      if ((await this.#connections(options)).some(({ state }) => ACCEPTED.includes(state))) return true;
      await sleep(LOOK_MS, options.signal);
    }
    return socket.bytesRead > 0;
  }

  /** Of this port: `TCP[STATE] FD source port destination port queues`, the source being where QEMU listens. */
  async #connections(options: CallOptions): Promise<{ state: string; local: number }[]> {
    const command = { 'command-line': 'info usernet' };
    const asked = await this.#process.ask(
      (monitor) => monitor.execute('human-monitor-command', command),
      options,
    );
    const text = typeof asked?.result === 'string' ? asked.result : '';
    const rows = text.matchAll(/TCP\[(\w+)\]\s+\S+\s+\S+\s+(\d+)\s+\S+\s+(\d+)/g);
    return [...rows]
      .map(([, state = '', local, remote]) => ({ state, local: Number(local), remote: Number(remote) }))
      .filter(({ remote }) => remote === this.#port);
  }
}
