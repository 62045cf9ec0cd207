/**
 * The control API: `POST /<method>` with a JSON array of arguments, on loopback, with a token that only who can read the
 * lab's folder has. Without it any page in a browser on this machine could steer the lab.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MiB } from '../../src/base/index.ts';
import { LabFailure, type LabHost } from '../model/index.ts';
import { fromJson, toJson } from './json.ts';
import { HOST_METHODS, PROCESS_METHODS, type ProcessMethods } from './methods.ts';

/** A guest write of 32 MiB in base64, with room to spare. */
const REQUEST_BYTES_MAX = 64 * MiB;

type Call = (...args: readonly unknown[]) => Promise<unknown>;

export interface ControlServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function startControl(options: {
  host: LabHost;
  process: ProcessMethods;
  token: string;
  port: number;
}): Promise<ControlServer> {
  const calls = new Map<string, Call>([
    ...HOST_METHODS.map((name) => [name, bound(options.host, name)] as const),
    ...PROCESS_METHODS.map((name) => [name, bound(options.process, name)] as const),
  ]);
  const server = createServer((request, response) => {
    answer(request, response, calls, options.token).catch(() => void response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => close(server) };
}

function bound<T extends object>(target: T, name: keyof T): Call {
  return (target[name] as Call).bind(target);
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  calls: ReadonlyMap<string, Call>,
  token: string,
): Promise<void> {
  if (!isAuthorised(request, token)) return send(response, 401, { error: { message: 'the token is wrong' } });
  const call = request.method === 'POST' ? calls.get((request.url ?? '').slice(1)) : undefined;
  if (!call) return send(response, 404, { error: { message: `there is no ${request.url}` } });
  try {
    const args = fromJson(await bodyOf(request)) as unknown[];
    send(response, 200, { result: (await call(...args)) ?? null });
  } catch (error) {
    const { message } = error as Error;
    send(response, 400, { error: error instanceof LabFailure ? { message, code: error.code } : { message } });
  }
}

function isAuthorised(request: IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > REQUEST_BYTES_MAX) throw new Error(`a request is at most ${REQUEST_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8') || '[]';
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(toJson(body));
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
