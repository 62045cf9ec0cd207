/**
 * TCP connections that leave from the far end of an SSH connection: for a host of which only port 22 is reachable, WinRM goes
 * to 127.0.0.1:5985 there. One SSH connection carries them all and is made again when it broke.
 */
import type { Socket } from 'node:net';
import { unlessAborted } from '../base/index.ts';
import { Slot } from '../remote/index.ts';
import { sshFaults } from './faults.ts';
import { SshServer, type SshOptions } from './server.ts';
import { TunnelSocket } from './tunnel-socket.ts';

export interface SshTunnel extends AsyncDisposable {
  /** Throws `SSH_FORWARD_REFUSED`, and the faults of a log-on. */
  connect(host: string, port: number, signal?: AbortSignal): Promise<Socket>;
  /** Ends the connections that are still open. Idempotent. */
  close(): Promise<void>;
}

/** Nothing is sent before the first `connect`. */
export function createSshTunnel(options: SshOptions): SshTunnel {
  const ending = new AbortController();
  const server = new SshServer(options);
  const slot = new Slot(() => server.connect(ending.signal));
  const close = async (): Promise<void> => {
    ending.abort(sshFaults.closed({ host: options.host }));
    await slot.close();
  };
  return {
    async connect(host, port, signal) {
      ending.signal.throwIfAborted();
      const connection = await unlessAborted(slot.get(), signal);
      const channel = await connection.forward(host, port, signal);
      const socket = new TunnelSocket(channel);
      // The channel of a connection that breaks only ends, as if the other side had said all it had to say.
      const onEnd = (): void => void socket.destroy(connection.ended.reason as Error);
      connection.ended.addEventListener('abort', onEnd);
      socket.once('close', () => connection.ended.removeEventListener('abort', onEnd));
      // Everything an HTTP agent and TLS ask of a socket is there.
      return socket as unknown as Socket;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
