/** A proxy between a client and a server that may change what the client sends. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:tls';

export interface TamperingProxy extends AsyncDisposable {
  readonly url: string;
}

/** `change` gets each piece as it came from the client; with `tls` the client must speak that. */
export async function tamperingProxy(
  target: string,
  change: (bytes: Buffer) => Uint8Array,
  tls?: { readonly cert: string; readonly key: string },
): Promise<TamperingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const serve = (client: Socket): void => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes: Buffer) => upstream.write(change(bytes))).on('close', () => upstream.destroy());
    upstream.pipe(client);
  };
  const server = (tls ? createTlsServer(tls, serve) : createServer(serve)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
