/** The other end of an SMB connection, without a network: requests come in at once, answers go out as an attack made them. */
import { messageHeader } from '../../src/smb/format.ts';
import { SmbConnection, type Carrier } from '../../src/smb/connection.ts';
import type { Sealing } from '../../src/smb/transform.ts';
import { framed, openBox } from '../../src/smb/testing/false-server.fixture.ts';
import type { Random } from '../../lab/model/random.ts';
import { pieces } from './byte-damage.ts';

const TARGET = { host: 'h', port: 445, connectTimeoutMs: 60_000, answerTimeoutMs: 60_000 };

export class SmbPeer implements Carrier {
  readonly connection = new SmbConnection(TARGET, this);
  readonly #random: Random;
  readonly #answer: (peer: SmbPeer, message: Uint8Array) => void;
  /** Set once both sides encrypt. */
  sealing: Sealing | undefined;
  #heard = 0;

  constructor(random: Random, answer: (peer: SmbPeer, message: Uint8Array) => void) {
    this.#random = random;
    this.#answer = answer;
  }

  write(bytes: Uint8Array | string): boolean {
    const frame = (bytes as Uint8Array).subarray(4);
    this.#heard += 1;
    this.#answer(this, (this.sealing && openBox(this.sealing, frame)) ?? frame);
    return true;
  }

  destroy(): never {
    return undefined as never;
  }

  /** Sends what is neither sealed nor framed any more. */
  send(bytes: Uint8Array): void {
    for (const piece of pieces(bytes, this.#random)) this.connection.push(piece);
  }

  sendMessage(message: Uint8Array): void {
    this.send(framed(this.sealing ? this.sealing.seal(message) : message));
  }

  /**
   * Hangs up once nobody has anything more to say: who then still waits was told nothing they could use. Whether the
   * connection had survived until then.
   */
  async hangUpWhenIdle(): Promise<boolean> {
    for (let before = -1; before !== this.#heard;) {
      before = this.#heard;
      await new Promise(setImmediate);
    }
    const { usable } = this.connection;
    this.connection.close();
    return usable;
  }
}

/** `reply`, as an answer to `request`: its id, its command, its session; everything else as it is. */
export function addressed(
  reply: Uint8Array,
  request: Uint8Array,
  fields: Partial<ReturnType<typeof messageHeader.read>> = {},
): Buffer {
  const { messageId, command, sessionId } = messageHeader.read(request);
  const message = Buffer.from(reply);
  messageHeader.write(message, { messageId, command, sessionId, credits: 10, ...fields });
  return message;
}
