/** What a WinRM host says to the tokens of a log-on: statuses, and headers with other tokens, lists and schemes in them. */
import assert from 'node:assert/strict';
import type { SecurityContext } from '../../src/auth/index.ts';
import { parseAddress } from '../../src/winrm/address.ts';
import { logOn } from '../../src/winrm/http/log-on.ts';
import type { HttpReply } from '../../src/winrm/http/exchange.ts';
import { readSessionSetup } from '../../src/smb/session-setup.ts';
import { WINDOWS_LOG_ON } from '../../src/smb/testing/recorded.fixture.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged } from './byte-damage.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';
import { damagedDer } from './der-damage.ts';
import { Stranger } from './stranger.ts';

const ADDRESS = parseAddress('http://h/wsman');
/** One for each of four tokens, and for each of two schemes. */
const POSTS_MAX = 10;

export const winrmLogOnCampaign: Campaign = {
  name: 'WinRM log-on',
  allocationBytesMax: 256 * 1024,
  meets: [
    'read',
    'WINRM_PROTOCOL_BROKEN',
    'WINRM_NOT_WINRM',
    'WINRM_METHOD_NOT_OFFERED',
    'WINRM_AUTHENTICATION_FAILED',
    'WINRM_TAMPERED',
  ],
  start: (): Attack => async (random) => {
    const isKerberos = random.chance(0.5);
    const provider = async (): Promise<SecurityContext> => (isKerberos ? new Patient() : new Stranger());
    let posts = 0;
    const post = async (): Promise<HttpReply> => {
      assert.ok((posts += 1) <= POSTS_MAX, 'tokens without end');
      return hostileReply(random);
    };
    const target = { address: ADDRESS, user: 'u', method: { kind: 'security', provider } } as const;
    return outcomeIn(() => logOn(target, undefined, post, undefined));
  },
};

/** Wants an answer to each of two tokens, as Kerberos does. */
class Patient extends Stranger {
  override readonly name = 'Kerberos' as 'NTLM';
  #steps = 0;

  override async step(token?: Uint8Array): Promise<Uint8Array> {
    const next = await super.step(token);
    this.complete = (this.#steps += 1) > 2;
    return next;
  }
}

const TOKENS = [
  readSessionSetup(WINDOWS_LOG_ON.setupReply).token,
  readSessionSetup(WINDOWS_LOG_ON.finalSetupReply).token,
];

function hostileReply(random: Random): HttpReply {
  const status = random.chance(0.7) ? 401 : [200, 400, 403, 404, 500, 503][random.below(6)]!;
  const header = random.chance(0.95) ? { 'www-authenticate': hostileOffer(random) } : {};
  return { status, headers: header, body: Buffer.alloc(0) };
}

const OFFERS: readonly ((random: Random) => string)[] = [
  (random) => `Negotiate ${tokenText(random)}`,
  (random) => `Negotiate ${tokenText(random)}`,
  (random) => `Negotiate ${tokenText(random)}`,
  (random) => `Kerberos ${tokenText(random)}`,
  () => 'Negotiate',
  () => 'Kerberos',
  () => 'Basic realm="x, Negotiate AAAA"',
  () => 'negotiate =====',
  () => '',
  (random) => ','.repeat(random.below(300)),
  (random) =>
    `${', '.repeat(20_000 * Number(random.chance(0.02)))}Negotiate${' '.repeat(20_000 * Number(random.chance(0.02)))}`,
  (random) => `Negotiate ${'A'.repeat(60_000 * Number(random.chance(0.05)))}`,
  (random) =>
    damaged(Buffer.from('Negotiate, Kerberos, Basic realm="WSMAN", CredSSP'), random).toString('latin1'),
];

function hostileOffer(random: Random): string {
  return Array.from({ length: 1 + random.below(3) }, () => OFFERS[random.below(OFFERS.length)]!(random)).join(
    ', ',
  );
}

function tokenText(random: Random): string {
  const token = TOKENS[random.below(TOKENS.length)]!;
  return Buffer.from(random.chance(0.5) ? token : damagedDer(token, random)).toString('base64');
}
