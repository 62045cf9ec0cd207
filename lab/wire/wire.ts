/**
 * The emulated host as clients meet it: WS-Management over HTTP with NTLM and message encryption, on loopback.
 *
 *   TCP connection ─► Exchange ─► Connection (NTLM, sealing)
 *                        │
 *                        └──────► Endpoint ─► Operations ─► LabCimProvider (the model)
 *                                 (SOAP)      (Get, Enumerate, Pull, methods; WQL)
 *
 * It behaves as a real host was recorded or is documented to behave, and never kinder: see docs/protocols/lab-wire.md. It
 * shares no code with `src/winrm`: that client and this server agree because both follow the same sources.
 */
import { createServer, type Server } from 'node:http';
import { isIP, type AddressInfo, type Socket } from 'node:net';
import type { LabCimProvider } from '../cim.ts';
import { Connection } from './connection.ts';
import type { WireFaults } from './disturbance.ts';
import { Endpoint, type Answering, type EndpointStats } from './endpoint.ts';
import { Exchange, type ExchangeContext, type TransferStats } from './exchange.ts';
import type { Account } from './ntlm.ts';
import { REAL_HOST, type WireTraits } from './traits.ts';

export interface WireOptions extends ServerOptions {
  readonly provider: LabCimProvider;
  /** A live list: rules pushed later take effect. */
  readonly faults?: WireFaults;
}

export interface ServerOptions {
  readonly users: readonly Account[];
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** `127.0.0.1` when left out. Other than loopback addresses are refused without `allowRemote`. */
  readonly host?: string;
  readonly allowRemote?: boolean;
  readonly traits?: Partial<WireTraits>;
  /** Counted into, when several wires are to count together. */
  readonly stats?: WireStats;
}

export interface WireStats extends EndpointStats, TransferStats {
  connections: number;
}

export interface Wire {
  /** `http://127.0.0.1:PORT/wsman` */
  readonly url: string;
  readonly port: number;
  readonly stats: Readonly<WireStats>;
  close(): Promise<void>;
}

export function startWire(options: WireOptions): Promise<Wire> {
  const { provider, faults = [] } = options;
  return serveEnvelopes(
    options,
    provider.hostName,
    (traits, stats) => new Endpoint(provider, traits, faults, stats),
  );
}

/** The same server in front of whoever answers. */
export async function serveEnvelopes(
  options: ServerOptions,
  hostName: string,
  answering: (traits: WireTraits, stats: WireStats) => Answering,
): Promise<Wire> {
  const host = options.host ?? '127.0.0.1';
  if (!isLoopback(host) && options.allowRemote !== true) {
    throw new TypeError(`the lab speaks to this machine only; ${host} needs allowRemote`);
  }
  const traits = { ...REAL_HOST, ...options.traits };
  const stats = options.stats ?? emptyStats();
  const endpoint = answering(traits, stats);
  const server = serve(options, { endpoint, traits, hostName, stats }, stats);
  await listen(server, options.port ?? 0, host);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}/wsman`,
    port,
    stats,
    close: () => close(server, endpoint),
  };
}

function serve({ users }: ServerOptions, context: ExchangeContext, stats: WireStats): Server {
  const { traits, hostName } = context;
  const connections = new WeakMap<Socket, Connection>();
  const settings = {
    keepAliveTimeout: traits.idleConnectionMs,
    headersTimeout: traits.receiveTimeoutMs,
    requestTimeout: traits.receiveTimeoutMs,
    connectionsCheckingInterval: Math.min(1000, traits.receiveTimeoutMs),
    maxHeaderSize: 64 * 1024,
    noDelay: true,
  };
  const server = createServer(settings, (request, response) => {
    const connection = connections.get(request.socket)!;
    const exchange = new Exchange(request, response, context);
    // A client that went away in the middle fails the reading of its body; there is nobody left to tell.
    exchange.run(connection).catch(() => void request.socket.destroy());
  });
  server.maxConnections = traits.connectionsMax;
  server.on('connection', (socket) => {
    stats.connections += 1;
    connections.set(socket, new Connection(users, hostName));
  });
  server.on('clientError', (_error, socket) =>
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
  );
  return server;
}

function emptyStats(): WireStats {
  return {
    requests: {},
    faults: 0,
    internalErrors: 0,
    connections: 0,
    refusedAuthentications: 0,
    receivedBytes: 0,
    sentBytes: 0,
  };
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function close(server: Server, endpoint: Answering): Promise<void> {
  endpoint.close();
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
