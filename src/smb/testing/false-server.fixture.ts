/**
 * A server that answers as a test tells it to, down to the bytes. It can not log anybody on: a test that wants to lie behind
 * the encryption gives both sides the same keys.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { HEADER_FLAG, messageHeader, PLAIN_MESSAGE, transformHeader } from '../format.ts';
import { FrameReader, WholeFrames } from '../frames.ts';
import type { SessionKeys } from '../session-keys.ts';
import { Sealing } from '../transform.ts';

export const TEST_KEYS: SessionKeys = {
  cipher: 'aes-128-gcm',
  signing: Buffer.alloc(16, 1),
  sealing: Buffer.alloc(16, 2),
  opening: Buffer.alloc(16, 3),
};
export const TEST_SESSION = 77n;

export interface Heard {
  readonly header: ReturnType<typeof messageHeader.read>;
  readonly message: Uint8Array;
  readonly socket: Socket;
  /** Sends a message, encrypted where requests are. */
  send(message: Uint8Array): void;
}

export interface FalseServer extends AsyncDisposable {
  readonly port: number;
}

export async function startFalseServer(answer: (heard: Heard) => void): Promise<FalseServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const sealing = new Sealing(
      { ...TEST_KEYS, sealing: TEST_KEYS.opening, opening: TEST_KEYS.sealing },
      TEST_SESSION,
    );
    const frames = new FrameReader(
      1 << 20,
      new WholeFrames((frame) => {
        const plain = frame[0] === 0xfe;
        const message = plain ? frame : openBox(sealing, frame)!;
        const send = (reply: Uint8Array): void =>
          void socket.write(framed(plain ? reply : sealing.seal(reply)));
        answer({ header: messageHeader.read(message), message, socket, send });
      }),
    );
    socket.on('data', (bytes) => frames.push(bytes)).on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The message in a box, or `undefined` when it is not one the other side sealed for this session. */
export function openBox(sealing: Sealing, box: Uint8Array): Uint8Array | undefined {
  if (box.length < transformHeader.size) return undefined;
  const sealed = box.subarray(transformHeader.size);
  const opening = sealing.opening(box.subarray(0, transformHeader.size), sealed.length);
  const message = opening?.update(sealed);
  return opening?.isGenuine() ? message : undefined;
}

export function framed(frame: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(frame.length);
  return Buffer.concat([prefix, frame]);
}

/** An answer to what was heard, right in every field that `fields` does not name. */
export function reply(
  heard: Heard,
  body: Uint8Array,
  fields: Partial<ReturnType<typeof messageHeader.read>> = {},
): Buffer {
  const head = new Uint8Array(messageHeader.size);
  messageHeader.write(head, {
    protocolId: PLAIN_MESSAGE,
    structureSize: 64,
    command: heard.header.command,
    flags: HEADER_FLAG.response,
    credits: 10,
    messageId: heard.header.messageId,
    treeId: heard.header.treeId,
    sessionId: heard.header.sessionId,
    ...fields,
  });
  return Buffer.concat([head, body]);
}
