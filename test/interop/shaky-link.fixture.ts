/**
 * A TCP relay that misbehaves on purpose: latency, stalls as lost packets make them, cuts, changed bytes, silence. Random
 * choices come from a seed.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface LinkOptions {
  /** Each way. */
  readonly latencyMs?: number;
  /** The share of chunks towards the client that are held up for `stallMs`, as a retransmission would. */
  readonly stallShare?: number;
  readonly stallMs?: number;
  readonly seed?: number;
  /** Sees every byte, both ways. */
  observe?: (bytes: Buffer) => void;
  /** Sees, and may replace, what goes to the client. `passed`: bytes of this connection before it. */
  toClient?: (bytes: Buffer, passed: number, link: ShakyLink) => Buffer;
}

export interface ShakyLink extends AsyncDisposable {
  readonly port: number;
  /** Both ways, all connections. */
  readonly seen: { connections: number; bytesToClient: number };
  /** Ends every connection, both sides. */
  cut(): void;
  /** Nothing passes any more, until it is called with false. */
  silence(on: boolean): void;
}

export async function startLink(targetPort: number, options: LinkOptions = {}): Promise<ShakyLink> {
  const random = randomFrom(options.seed ?? 1);
  const sockets = new Set<Socket>();
  const seen = { connections: 0, bytesToClient: 0 };
  let silent = false;
  const server = createServer((client) => {
    seen.connections += 1;
    const upstream = connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
    let passed = 0;
    const toClient = (bytes: Buffer): Buffer => {
      options.observe?.(bytes);
      const changed = options.toClient?.(bytes, passed, link) ?? bytes;
      passed += bytes.length;
      seen.bytesToClient += bytes.length;
      return changed;
    };
    const delay = (): number =>
      (options.latencyMs ?? 0) + (random() < (options.stallShare ?? 0) ? (options.stallMs ?? 0) : 0);
    relay(client, upstream, delay, (bytes) => {
      options.observe?.(bytes);
      return bytes;
    });
    relay(upstream, client, delay, toClient);
    for (const socket of [client, upstream]) sockets.add(socket.setNoDelay(true));
    if (silent) [client, upstream].forEach((socket) => socket.pause());
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const link: ShakyLink = {
    port: (server.address() as AddressInfo).port,
    seen,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    silence(on) {
      silent = on;
      sockets.forEach((socket) => (on ? socket.pause() : socket.resume()));
    },
    async [Symbol.asyncDispose]() {
      link.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return link;
}

/** Chunks keep their order: each leaves when it is due and the one before it has left. */
function relay(from: Socket, to: Socket, delayMs: () => number, change: (bytes: Buffer) => Buffer): void {
  let last = Promise.resolve();
  from.on('data', (bytes: Buffer) => {
    const due = new Promise((resolve) => setTimeout(resolve, delayMs()));
    // What was still on its way when the connection was cut is lost, and cuts nothing else.
    last = last.then(() => due).then(() => void (to.destroyed || to.write(change(bytes))));
  });
  from.on('error', () => undefined);
  from.on('close', () => to.destroy());
}

/** Lehmer's generator: any sequence will do as long as the seed names it. */
function randomFrom(seed: number): () => number {
  let state = seed % 2147483647 || 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}
