/** A connection to a server before it has agreed on anything: the socket, what arrives on it, and TLS when that is asked for. */
import { connect, type Socket } from 'node:net';
import type { CallOptions } from '../disk/index.ts';
import { unlessAborted } from '../base/index.ts';
import { describePlace, type NbdPlace } from './address.ts';
import { nbdFaults } from './faults.ts';
import { Inbox } from './inbox.ts';
import { secureClient, type NbdClientTls } from './tls.ts';

export class Link {
  readonly server: string;
  readonly #place: NbdPlace;
  socket: Socket;
  inbox: Inbox;

  private constructor(place: NbdPlace, socket: Socket) {
    this.server = describePlace(place);
    this.#place = place;
    this.socket = socket;
    this.inbox = new Inbox(socket);
  }

  /** Throws `NBD_UNREACHABLE`, and the signal's reason. */
  static async open(place: NbdPlace, { signal }: CallOptions): Promise<Link> {
    const socket = connect(
      place.kind === 'unix' ? { path: place.path } : { ...place, noDelay: true, keepAlive: true },
    );
    try {
      const opened = new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
      await unlessAborted(opened, signal);
      return new Link(place, socket);
    } catch (error) {
      socket.destroy();
      signal?.throwIfAborted();
      throw nbdFaults.unreachable(
        { server: describePlace(place), reason: (error as Error).message },
        { cause: error },
      );
    }
  }

  /** From here on everything is encrypted. Throws `NBD_TLS_REFUSED`. */
  async secure(tls: NbdClientTls): Promise<void> {
    const { server } = this;
    if (!this.inbox.release()) {
      throw nbdFaults.tlsRefused({
        server,
        reason: 'something came before TLS began, which anybody could have sent',
      });
    }
    const host = this.#place.kind === 'tcp' ? this.#place.host : 'localhost';
    try {
      this.socket = await secureClient(this.socket, host, tls);
    } catch (error) {
      throw nbdFaults.tlsRefused({ server, reason: (error as Error).message }, { cause: error });
    }
    this.inbox = new Inbox(this.socket);
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }
}
