/**
 * An NBD server: disks under names, on a unix socket or a TCP port.
 *
 *   const server = await NbdServer.listen({ path: '/run/x.sock' }, { exports: new Map([['', { disk }]]) });
 *   …
 *   await server.close();
 *
 * It says it takes several connections: all share one disk. Whoever may connect may read, and write when there is a writer:
 * a unix socket in a folder of one's own, or TLS with certificates of the clients, says who that is.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describePlace, type NbdPlace } from './address.ts';
import { nbdFaults } from './faults.ts';
import type { Request } from './format.ts';
import { OptionSession, type OptionRules } from './option-session.ts';
import type { ServedDisk } from './served-disk.ts';
import { ReplyBuffers } from './reply-buffers.ts';
import { checkCertificate, type NbdServerTls } from './tls.ts';
import { Transmission } from './transmission.ts';
import { Wire } from './wire.ts';

export type { ServedDisk } from './served-disk.ts';

export interface NbdServerOptions {
  /** By name; the one named '' is what clients get that name none. The disks stay open; closing them is the caller's. */
  readonly exports: ReadonlyMap<string, ServedDisk>;
  /** With it, no client gets anything without. */
  readonly tls?: NbdServerTls;
  /** A request failed, which its client learns as a number only; or a client broke the rules and was cut off. */
  readonly onError?: (
    error: unknown,
    where: { readonly exportName?: string; readonly request?: Request },
  ) => void;
}

/** Negotiation is a matter of milliseconds; who needs longer is not there to negotiate. */
const NEGOTIATION_MS_MAX = 30_000;
/** Of all connections: 64 answers of 256 KiB under way. */
const REPLY_BYTES_KEPT = 16 * 1024 * 1024;

export class NbdServer implements AsyncDisposable {
  readonly place: NbdPlace;
  readonly #server: Server;
  readonly #options: NbdServerOptions;
  readonly #rules: OptionRules;
  readonly #buffers = new ReplyBuffers(REPLY_BYTES_KEPT);
  readonly #clients = new Map<Wire, Promise<void>>();

  private constructor(server: Server, place: NbdPlace, options: NbdServerOptions) {
    this.#server = server;
    this.place = place;
    this.#options = options;
    const { exports, tls } = options;
    this.#rules = {
      names: [...exports.keys()],
      find: (name) => exports.get(name),
      tls,
    };
    server.on('connection', (socket) => this.#welcome(socket));
  }

  /** `port` 0 takes a free one, which {@link place} tells. Throws `NBD_LISTEN_FAILED`, `NBD_CERTIFICATE_UNUSABLE`. */
  static async listen(place: NbdPlace, options: NbdServerOptions): Promise<NbdServer> {
    if (options.tls) checkCertificate(options.tls);
    const server = createServer({ noDelay: true, keepAlive: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) =>
        reject(
          nbdFaults.listenFailed({ place: describePlace(place), reason: error.message }, { cause: error }),
        ),
      );
      server.listen(
        place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port },
        resolve,
      );
    });
    const taken = place.kind === 'unix' ? place : { ...place, port: (server.address() as AddressInfo).port };
    return new NbdServer(server, taken, options);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Cuts clients off; what they have under way ends first. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const wire of this.#clients.keys()) wire.destroy();
    await Promise.all(this.#clients.values());
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #welcome(socket: Socket): void {
    const wire = new Wire(socket);
    this.#clients.set(
      wire,
      this.#serve(wire).finally(() => this.#clients.delete(wire)),
    );
  }

  async #serve(wire: Wire): Promise<void> {
    const tooLong = setTimeout(() => wire.destroy(), NEGOTIATION_MS_MAX);
    try {
      const opened = await new OptionSession(wire, this.#rules).run();
      clearTimeout(tooLong);
      if (opened)
        await new Transmission(wire, opened, this.#buffers, {
          failed: (error, request) => this.#options.onError?.(error, { request }),
        }).run();
      wire.end();
    } catch (error) {
      if (wire.isOpen) this.#options.onError?.(error, {});
      wire.destroy();
    } finally {
      clearTimeout(tooLong);
    }
  }
}
