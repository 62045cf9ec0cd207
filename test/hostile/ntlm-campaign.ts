/** NTLM challenges: fields, offsets, AV pairs. What is answered to one that was taken is a message that holds together. */
import assert from 'node:assert/strict';
import { readAnswer } from '../../src/auth/spnego.ts';
import { Credentials, NtlmHandshake } from '../../src/ntlm/index.ts';
import {
  authenticateMessage,
  challengeMessage,
  NTLM_FLAGS,
  readAvPairs,
  type PayloadSpan,
} from '../../src/ntlm/format.ts';
import { readSessionSetup } from '../../src/smb/session-setup.ts';
import { SAMBA_REPLIES, WINDOWS_LOG_ON } from '../../src/smb/testing/recorded.fixture.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged, damageFields } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';

/** Those of Windows and of Samba, once with the flags WinRM demands. */
const CHALLENGES = [WINDOWS_LOG_ON.setupReply, SAMBA_REPLIES.setup].map((reply) => {
  const challenge = Buffer.from(readAnswer(readSessionSetup(reply).token).token!);
  const all = Object.values(NTLM_FLAGS).reduce((flags, bit) => (flags | bit) >>> 0, 0);
  challengeMessage.write(challenge, { flags: all });
  return challenge;
});

const credentials = new Credentials('LAB\\backup', 'Pä$$w0rd');

export const ntlmCampaign: Campaign = {
  name: 'NTLM challenges',
  allocationBytesMax: 128 * 1024,
  meets: ['read', 'NTLM_BAD_CHALLENGE', 'NTLM_SECURITY_REFUSED'],
  start: (): Attack => async (random) => {
    const challenge = damagedChallenge(random);
    const handshake = new NtlmHandshake(credentials, { host: 'h', service: 'HTTP' });
    return outcomeIn(async () => {
      const { token, sessionKey } = await handshake.authenticate(challenge);
      assert.equal(sessionKey.length, 16);
      assertHoldsTogether(token);
    });
  },
};

function damagedChallenge(random: Random): Buffer {
  const challenge = Buffer.from(CHALLENGES[random.below(CHALLENGES.length)]!);
  const kind = random.below(5);
  if (kind === 0) return damaged(challenge, random);
  if (kind === 1)
    damageFields(
      challengeMessage,
      challenge,
      0,
      random,
      random.chance(0.8) ? ['flags', 'signature', 'type'] : [],
    );
  if (kind === 2) return withPairs(challenge, damaged(pairsOf(challenge), random));
  if (kind === 3) return withPairs(challenge, strangePairs(random));
  if (kind === 4) challenge.writeUInt32LE((challenge.readUInt32LE(20) & ~(1 << random.below(32))) >>> 0, 20);
  return challenge;
}

function pairsOf(challenge: Buffer): Buffer {
  const { offset, length } = challengeMessage.read(challenge).targetInfo;
  return challenge.subarray(offset, offset + length);
}

/** The lengths are right again, so that the damage is met inside. */
function withPairs(challenge: Buffer, pairs: Uint8Array): Buffer {
  const offset = challengeMessage.read(challenge).targetInfo.offset;
  const head = Buffer.from(challenge.subarray(0, offset));
  challengeMessage.write(head, { targetInfo: { length: pairs.length & 0xffff, offset } });
  return Buffer.concat([head, pairs]);
}

/** Pairs of any kind, number and length: well-formed, and senseless. */
function strangePairs(random: Random): Buffer {
  const pairs = Array.from({ length: random.below(random.chance(0.05) ? 4000 : 12) }, () => {
    const value = random.bytes(random.chance(0.05) ? random.below(40_000) : random.below(20));
    const head = Buffer.alloc(4);
    head.writeUInt16LE(random.chance(0.9) ? random.below(12) : random.below(65_536), 0);
    head.writeUInt16LE(value.length, 2);
    return Buffer.concat([head, value]);
  });
  return Buffer.concat([...pairs, Buffer.alloc(4)]).subarray(0, 65_535);
}

/** MS-NLMP 2.2.1.3: every part lies in the payload, none on another, nothing is left over; and the AV pairs can be read. */
function assertHoldsTogether(token: Uint8Array): void {
  const { lmResponse, ntResponse, domain, user, workstation, sessionKey } = authenticateMessage.read(token);
  const spans: PayloadSpan[] = [lmResponse, ntResponse, domain, user, workstation, sessionKey];
  spans.sort((a, b) => a.offset - b.offset || a.length - b.length);
  let at = authenticateMessage.size;
  for (const { offset, length } of spans) {
    assert.equal(offset, at, 'the parts lie one behind the other');
    at += length;
  }
  assert.equal(at, token.length, 'and end with the message');
  // 2.2.2.8: 16 bytes of proof, 28 of blob in front of the pairs, 4 behind.
  const pairs = token.subarray(ntResponse.offset + 44, ntResponse.offset + ntResponse.length);
  assert.ok(readAvPairs(pairs), 'AV pairs');
}
