/**
 * The log-on of SMB, before anything is encrypted: NEGOTIATE with its contexts, the tokens of SESSION_SETUP. A server that lies
 * signs its lies; somebody in the middle, who changes what a server said, cannot, and then no log-on may succeed.
 */
import assert from 'node:assert/strict';
import type { Struct } from '../../src/base/index.ts';
import { aesCmac } from '../../src/smb/cmac.ts';
import {
  HEADER_FLAG,
  messageHeader,
  negotiateContext,
  negotiateResponse,
  sessionSetupResponse,
} from '../../src/smb/format.ts';
import { logOn } from '../../src/smb/log-on.ts';
import { deriveSessionKeys, PreauthHash } from '../../src/smb/session-keys.ts';
import { STATUS } from '../../src/smb/status.ts';
import { SAMBA_REPLIES, WINDOWS_LOG_ON } from '../../src/smb/testing/recorded.fixture.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged, damageFields } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';
import { addressed, SmbPeer } from './smb-peer.ts';
import { damagedDer } from './der-damage.ts';
import { SESSION_KEY, Stranger } from './stranger.ts';

export const smbLogOnCampaign: Campaign = {
  name: 'SMB log-on',
  allocationBytesMax: 160 * 1024,
  meets: [
    'read',
    'SMB_PROTOCOL_BROKEN',
    'SMB_TAMPERED',
    'SMB_CONNECTION_LOST',
    'SMB_DIALECT_REFUSED',
    'SMB_ENCRYPTION_REFUSED',
    'SMB_GUEST_REFUSED',
    'SMB_LOGON_FAILED',
    'SMB_SERVER_FAILED',
  ],
  start: (): Attack => async (random) => {
    const server = new FalseDoor(random);
    const { connection } = server.peer;
    const done = logOn(connection, new Stranger(), 'u').catch((error: unknown) => {
      throw connection.faultOf(error);
    });
    const outcome = outcomeIn(() => done);
    await server.peer.hangUpWhenIdle();
    assert.ok(!server.tampered || (await outcome) !== 'read', 'a changed log-on succeeded');
    if ((await outcome) === 'read') assert.ok((await done).readBytesMax >= 4096);
    return await outcome;
  },
};

/** What comes one after the other. */
const ROUNDS: readonly {
  readonly real: Uint8Array;
  readonly body: Struct<object>;
  readonly status: number;
  readonly token: number;
}[][] = [
  [
    { real: SAMBA_REPLIES.negotiate, body: negotiateResponse, status: 0, token: 128 },
    { real: WINDOWS_LOG_ON.negotiateReply, body: negotiateResponse, status: 0, token: 128 },
  ],
  [
    {
      real: SAMBA_REPLIES.setup,
      body: sessionSetupResponse,
      status: STATUS.MORE_PROCESSING_REQUIRED,
      token: 72,
    },
    {
      real: WINDOWS_LOG_ON.setupReply,
      body: sessionSetupResponse,
      status: STATUS.MORE_PROCESSING_REQUIRED,
      token: 72,
    },
  ],
  [{ real: WINDOWS_LOG_ON.finalSetupReply, body: sessionSetupResponse, status: 0, token: 72 }],
];

class FalseDoor {
  readonly peer: SmbPeer;
  /** Somebody in the middle changed what the server said. */
  tampered = false;
  readonly #random: Random;
  readonly #hash = new PreauthHash();
  #round = 0;

  constructor(random: Random) {
    this.#random = random;
    this.peer = new SmbPeer(random, (_peer, message) => this.#answer(message));
  }

  #answer(request: Uint8Array): void {
    const answers = ROUNDS[Math.min(this.#round, ROUNDS.length - 1)]!;
    const { real, body, status, token } = answers[this.#random.below(answers.length)]!;
    const isLast = (this.#round += 1) >= ROUNDS.length;
    this.#hash.add(request);
    const fields = {
      status,
      sessionId: this.#round > 1 ? 77n : 0n,
      flags: HEADER_FLAG.response | (isLast ? HEADER_FLAG.signed : 0),
    };
    const message = this.#lie(addressed(real, request, fields), body, token);
    if (isLast) this.#sign(message);
    else this.#hash.add(message);
    this.peer.sendMessage(this.#inTheMiddle(message));
  }

  #lie(message: Buffer, body: Struct<object>, token: number): Buffer {
    const random = this.#random;
    const kind = random.below(10);
    if (kind === 0) damageFields(body, message, messageHeader.size, random);
    if (kind === 1) damageFields(messageHeader, message, 0, random, ['signature']);
    if (kind === 2) return Buffer.concat([message.subarray(0, 64), damaged(message.subarray(64), random)]);
    if (kind === 3 && body === negotiateResponse) this.#lieInContexts(message);
    if (kind === 3 && body === sessionSetupResponse)
      return withToken(message, damagedDer(message.subarray(token), random));
    if (kind === 4) messageHeader.write(message, { status: Object.values(STATUS)[random.below(38)]! });
    return message;
  }

  #lieInContexts(message: Buffer): void {
    const at = negotiateResponse.read(message, messageHeader.size).contextOffset;
    for (const place of [at, at + 48]) {
      if (this.#random.chance(0.6)) damageFields(negotiateContext, message, place, this.#random);
      if (place + 12 <= message.length && this.#random.chance(0.6))
        message.writeUInt16LE(this.#random.below(5), place + 8 + 2 * this.#random.below(2));
    }
  }

  #sign(message: Buffer): void {
    if (message.length < messageHeader.size) return;
    const { signing } = deriveSessionKeys('aes-128-gcm', SESSION_KEY, this.#hash.value);
    messageHeader.write(message, { signature: new Uint8Array(16) });
    messageHeader.write(message, { signature: aesCmac(signing, message) });
  }

  #inTheMiddle(message: Buffer): Buffer {
    if (this.#random.chance(0.93)) return message;
    const changed = damaged(message, this.#random);
    this.tampered ||= !changed.equals(message);
    return changed;
  }
}

function withToken(message: Buffer, token: Uint8Array): Buffer {
  const head = Buffer.from(message.subarray(0, 72));
  sessionSetupResponse.write(head, { securityLength: token.length & 0xffff }, messageHeader.size);
  return Buffer.concat([head, token]);
}
