/**
 * Answers of an SMB server after the log-on, to every command there is. Damage is done before the sealing, so that it gets
 * past it; and to sealed boxes, of which then none may be opened.
 */
import assert from 'node:assert/strict';
import type { Struct } from '../../src/base/index.ts';
import {
  createContext,
  createResponse,
  messageHeader,
  onDiskId,
  readResponse,
  transformHeader,
  treeConnectResponse,
} from '../../src/smb/format.ts';
import { Landing } from '../../src/smb/landing.ts';
import { SmbSession, type FileHandle, type SessionTarget } from '../../src/smb/session.ts';
import { STATUS } from '../../src/smb/status.ts';
import { framed, TEST_KEYS, TEST_SESSION } from '../../src/smb/testing/false-server.fixture.ts';
import { SAMBA_REPLIES } from '../../src/smb/testing/recorded.fixture.ts';
import { Sealing } from '../../src/smb/transform.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged, damageFields } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';
import { addressed, SmbPeer } from './smb-peer.ts';

const READ_BYTES = 64 * 1024;
const UNTOUCHED = 0xe5;

export const smbCampaign: Campaign = {
  name: 'SMB answers',
  allocationBytesMax: 128 * 1024,
  meets: [
    'read',
    'SMB_PROTOCOL_BROKEN',
    'SMB_TAMPERED',
    'SMB_CONNECTION_LOST',
    'SMB_SERVER_FAILED',
    'SMB_NOT_A_DISK',
    'SMB_DFS_REFUSED',
    'SMB_NOT_A_FILE',
    'SMB_ACCESS_DENIED',
    'SMB_SHARING_VIOLATION',
    'DISK_TRUNCATED',
  ],
  start: (): Attack => async (random) => {
    const server = new FalseFileServer(random);
    const { connection } = server.peer;
    const session = new SmbSession({ host: 'h', user: 'u' } as SessionTarget, connection, READ_BYTES);
    const outcome = outcomeIn(() => ATTACKS[random.below(ATTACKS.length)]!(session));
    const survived = await server.peer.hangUpWhenIdle();
    assert.ok(!server.tampered || !survived, 'the connection goes on after a box that was changed');
    return await outcome;
  },
};

/** TREE_CONNECT and CREATE. */
async function open(session: SmbSession): Promise<void> {
  const { identity } = await session.open('C$', 'a.vhdx');
  assert.ok(Number.isSafeInteger(identity.size) && identity.size >= 0, `a size of ${identity.size}`);
}

async function read(session: SmbSession): Promise<void> {
  const memory = Buffer.alloc(300, UNTOUCHED);
  const bytes = await session.read(handleOf(session), 0, new Landing(memory.subarray(100, 200)));
  assert.ok(bytes >= 1 && bytes <= 100, `${bytes} bytes for 100`);
  const beside = Buffer.concat([memory.subarray(0, 100), memory.subarray(200)]);
  assert.ok(
    beside.every((byte) => byte === UNTOUCHED),
    'bytes beside the place of the answer',
  );
}

async function close(session: SmbSession): Promise<void> {
  await session.closeFile(handleOf(session));
}

function handleOf(session: SmbSession): FileHandle {
  const identity = { onDisk: undefined, size: 100, lastWriteTime: 0n };
  return { session, treeId: 5, fileId: new Uint8Array(16), identity, path: 'C$\\a.vhdx' };
}

const ATTACKS = [open, open, read, read, close];

const OK = Buffer.concat([SAMBA_REPLIES.treeConnect.subarray(0, 64), Buffer.from('04000000', 'hex')]);
/** By command: the answer, and the structure of its body. */
const ANSWERS: Readonly<Record<number, { readonly real: Uint8Array; readonly body?: Struct<object> }>> = {
  3: { real: SAMBA_REPLIES.treeConnect, body: treeConnectResponse },
  5: { real: SAMBA_REPLIES.create, body: createResponse },
  6: { real: Buffer.concat([OK.subarray(0, 64), Buffer.alloc(60, 0x3c)]) },
  8: { real: SAMBA_REPLIES.read, body: readResponse },
};

/** The same for all inputs: making key objects takes longer than all the rest. */
const OURS = new Sealing(TEST_KEYS, TEST_SESSION);
const THEIRS = new Sealing(
  { ...TEST_KEYS, sealing: TEST_KEYS.opening, opening: TEST_KEYS.sealing },
  TEST_SESSION,
);

const DAMAGES = [
  ...([
    'fields',
    'fields',
    'fields',
    'contexts',
    'contexts',
    'anywhere',
    'anywhere',
    'everywhere',
    'header',
  ] as const),
  ...(['status', 'chain', 'again', 'starve', 'box', 'unsealed', 'frame'] as const),
];

class FalseFileServer {
  readonly peer: SmbPeer;
  /** A box was changed that an honest server had sealed. */
  tampered = false;
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
    this.peer = new SmbPeer(random, (_peer, message) => this.#answer(message));
    this.peer.connection.enterSession(TEST_SESSION);
    this.peer.connection.protect(OURS, READ_BYTES + 1024);
    this.peer.sealing = THEIRS;
  }

  #answer(request: Uint8Array): void {
    const { real, body } = ANSWERS[messageHeader.read(request).command] ?? { real: OK };
    const message = addressed(real, request);
    if (this.#random.chance(0.2)) return this.peer.sendMessage(message);
    this[DAMAGES[this.#random.below(DAMAGES.length)]!](message, body);
  }

  fields(message: Buffer, body: Struct<object> | undefined): void {
    if (body) damageFields(body, message, messageHeader.size, this.#random);
    this.peer.sendMessage(message);
  }

  /** The contexts of CREATE lie at 152; other messages are too short. */
  contexts(message: Buffer): void {
    damageFields(createContext, message, 152, this.#random);
    if (this.#random.chance(0.3)) damageFields(onDiskId, message, 176, this.#random);
    this.peer.sendMessage(message);
  }

  anywhere(message: Buffer): void {
    const body = damaged(message.subarray(messageHeader.size), this.#random);
    this.peer.sendMessage(Buffer.concat([message.subarray(0, messageHeader.size), body]));
  }

  everywhere(message: Buffer): void {
    this.peer.sendMessage(damaged(message, this.#random));
  }

  header(message: Buffer): void {
    damageFields(messageHeader, message, 0, this.#random);
    this.peer.sendMessage(message);
  }

  status(message: Buffer): void {
    const codes = Object.values(STATUS);
    messageHeader.write(message, { status: codes[this.#random.below(codes.length)]! });
    if (this.#random.chance(0.3)) messageHeader.write(message, { flags: this.#random.below(16) });
    this.peer.sendMessage(message);
  }

  /** Several messages in one box, chained truthfully or not. */
  chain(message: Buffer): void {
    const padded = Buffer.concat([message, Buffer.alloc(-message.length & 7)]);
    messageHeader.write(padded, {
      nextCommand: this.#random.chance(0.6) ? padded.length : this.#random.next(),
    });
    this.peer.sendMessage(Buffer.concat([padded, message]));
  }

  /** Said twice, or first "not yet". */
  again(message: Buffer): void {
    const first = Buffer.from(message);
    if (this.#random.chance(0.7)) messageHeader.write(first, { status: STATUS.PENDING, flags: 3 });
    this.peer.sendMessage(first);
    this.peer.sendMessage(message);
    if (this.#random.chance(0.3)) this.peer.sendMessage(message);
  }

  starve(message: Buffer): void {
    messageHeader.write(message, { credits: this.#random.chance(0.7) ? 0 : 65_535 });
    this.peer.sendMessage(message);
  }

  /** Behind the sealing: nothing of this may be believed. */
  box(message: Buffer): void {
    const sealed = Buffer.from(this.peer.sealing!.seal(message));
    const changed = this.#random.chance(0.5) ? damaged(sealed, this.#random) : Buffer.from(sealed);
    if (this.#random.chance(0.5)) damageFields(transformHeader, changed, 0, this.#random);
    this.tampered ||= !changed.equals(sealed);
    this.peer.send(framed(changed));
  }

  unsealed(message: Buffer): void {
    this.tampered = true;
    this.peer.send(framed(message));
  }

  /** The length in front of the message, and what else may come instead. */
  frame(message: Buffer): void {
    const whole = framed(this.peer.sealing!.seal(message));
    const head = damaged(whole.subarray(0, 4), this.#random);
    this.peer.send(Buffer.concat([head, whole.subarray(4)]));
  }
}
