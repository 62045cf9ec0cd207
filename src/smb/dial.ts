/** The TCP connection below an SMB one, opened with a deadline. */
import { connect, type Socket } from 'node:net';
import { failureReason, MiB } from '../base/index.ts';
import { smbFaults } from './faults.ts';

export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  /** How long any one answer may take. */
  readonly answerTimeoutMs: number;
}

/** One piece of what arrives: large, because each costs a turn of the loop and a step of the cipher. */
const RECEIVE_BUFFER_BYTES = MiB;

/** Bytes that arrive are used up when `push` returns. Throws `SMB_UNREACHABLE`, and the signal's reason. */
export async function dial(
  target: ConnectionTarget,
  push: (bytes: Uint8Array) => void,
  signal: AbortSignal,
): Promise<Socket> {
  const onread = {
    buffer: Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES),
    callback: (length: number, buffer: Uint8Array): boolean => {
      push(buffer.subarray(0, length));
      return true;
    },
  };
  const { host, port } = target;
  const socket = connect({ host, port, noDelay: true, keepAlive: true, onread });
  await connected(socket, target, signal);
  return socket;
}

async function connected(socket: Socket, target: ConnectionTarget, signal: AbortSignal): Promise<void> {
  const { host, port, connectTimeoutMs } = target;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const unreachable = (reason: string, cause?: unknown): void =>
    reject(smbFaults.unreachable({ host, port, reason }, { cause }));
  const onAbort = (): void => reject(signal.reason as Error);
  const onError = (error: Error): void => unreachable(failureReason(error), error);
  const timer = setTimeout(
    () => unreachable(`no answer within ${connectTimeoutMs / 1000} s`),
    connectTimeoutMs,
  );
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('connect', resolve).once('error', onError);
  try {
    signal.throwIfAborted();
    await promise;
    socket.off('error', onError);
  } catch (error) {
    socket.on('error', () => undefined).destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
