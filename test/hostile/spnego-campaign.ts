/** SPNEGO answers of every round, DER and all: tokens that come out lie in what came in, and a MIC counts only when it is right. */
import assert from 'node:assert/strict';
import { der, Malformed } from '../../src/auth/der.ts';
import { SpnegoClient } from '../../src/auth/spnego-client.ts';
import { writeNext } from '../../src/auth/spnego.ts';
import { readSessionSetup } from '../../src/smb/session-setup.ts';
import { SAMBA_REPLIES, WINDOWS_LOG_ON } from '../../src/smb/testing/recorded.fixture.ts';
import type { Campaign, Attack } from './campaign.ts';
import { outcomeIn } from './campaign.ts';
import { damagedDer } from './der-damage.ts';
import { Stranger } from './stranger.ts';

const ANSWERS = [
  ...[WINDOWS_LOG_ON.setupReply, SAMBA_REPLIES.setup, WINDOWS_LOG_ON.finalSetupReply].map(
    (reply) => readSessionSetup(reply).token,
  ),
  writeNext(Buffer.alloc(300, 7), Buffer.alloc(16, 8)),
  der(0xa1, der(0x30, der(0xa0, der(0x0a, Uint8Array.of(2))), der(0xa2, der(0x04, Buffer.alloc(400, 9))))),
];

export const spnegoCampaign: Campaign = {
  name: 'SPNEGO answers',
  allocationBytesMax: 256 * 1024,
  meets: ['read', 'malformed', 'not proved'],
  start: (): Attack => async (random) => {
    const bytes = damagedDer(ANSWERS[random.below(ANSWERS.length)]!, random);
    const security = new Stranger();
    const client = new SpnegoClient(security);
    await client.first();
    const last = random.chance(0.5);
    const done = last ? client.finish(bytes) : client.next(bytes);
    const outcome = await outcomeIn(() => done).catch((error: unknown) => {
      if (error instanceof Malformed) return 'malformed';
      throw error;
    });
    for (const token of security.given)
      assert.ok(Buffer.from(bytes).includes(Buffer.from(token)), 'a token that was not in the answer');
    return outcome === 'read' && last && !(await done) ? 'not proved' : outcome;
  },
};
