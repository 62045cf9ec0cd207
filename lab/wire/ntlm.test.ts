import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authenticateToken } from './client.fixture.ts';
import { NtlmAcceptor, hmacMd5, ntowfV2 } from './ntlm.ts';
import { MIC_OFFSET, NTLM_FLAGS, negotiateMessage } from './ntlm-format.ts';

const FLAGS = 0xe2088235;
const account = { user: 'Admin', password: 'Pässw0rd!' };
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function negotiate(flags = FLAGS): Uint8Array {
  const bytes = new Uint8Array(40);
  negotiateMessage.write(bytes, { signature: Buffer.from('NTLMSSP\0'), type: 1, flags });
  return bytes;
}

function attempt(
  credentials: { user: string; password: string; domain?: string },
  change: (token: Uint8Array) => void = () => undefined,
  accounts: ConstructorParameters<typeof NtlmAcceptor>[0] = [account],
): boolean {
  const acceptor = new NtlmAcceptor(accounts, 'hv1.lab.example');
  const first = negotiate();
  const { token } = authenticateToken(first, acceptor.challenge(first)!, credentials);
  change(token);
  return acceptor.authenticate(token) !== undefined;
}

test('NTOWFv2, the proof and the session base key are those of MS-NLMP 4.2.4', () => {
  const hash = ntowfV2('Password', 'User', 'Domain');
  assert.equal(hex(hash), '0c868a403bfd7a93a3001ef22ef02e3f');
  const temp = Buffer.from(
    '01010000000000000000000000000000aaaaaaaaaaaaaaaa0000000002000c0044006f006d00610069006e00' +
      '01000c005300650072007600650072000000000000000000',
    'hex',
  );
  const proof = hmacMd5(hash, Buffer.from('0123456789abcdef', 'hex'), temp);
  assert.equal(hex(proof), '68cd0ab851e51c96aabc927bebef6a1c');
  assert.equal(hex(hmacMd5(hash, proof)), '8de40ccadbc14a82f15cb0ad0de95ca3');
});

test('the right password is let in, in any case of the user name and with any domain for a local account', () => {
  assert.equal(attempt(account), true);
  assert.equal(attempt({ ...account, user: 'ADMIN', domain: 'ANY' }), true);
});

test('a wrong password, a wrong user and a wrong domain are refused', () => {
  assert.equal(attempt({ ...account, password: 'pässw0rd!' }), false);
  assert.equal(attempt({ ...account, user: 'other' }), false);
  const inDomain = [{ ...account, domain: 'LAB' }];
  assert.equal(attempt({ ...account, domain: 'lab' }, undefined, inDomain), true);
  assert.equal(attempt({ ...account, user: 'admin@lab' }, undefined, inDomain), true);
  assert.equal(attempt({ ...account, domain: 'ELSEWHERE' }, undefined, inDomain), false);
});

test('an announced integrity code that is wrong or blank is refused, though the password is right', () => {
  assert.equal(
    attempt(account, (token) => (token[MIC_OFFSET]! ^= 1)),
    false,
  );
  assert.equal(
    attempt(account, (token) => token.fill(0, MIC_OFFSET, MIC_OFFSET + 16)),
    false,
  );
});

test('no byte of an AUTHENTICATE message may change, and no cut one is accepted or breaks the acceptor', () => {
  const acceptor = new NtlmAcceptor([account], 'hv1');
  const first = negotiate();
  const fresh = (): Uint8Array => authenticateToken(first, acceptor.challenge(first)!, account).token;
  const { length } = fresh();
  for (let at = 0; at < length; at += 1) {
    const token = fresh();
    token[at]! ^= 4;
    assert.equal(acceptor.authenticate(token), undefined, `byte ${at}`);
    assert.equal(acceptor.authenticate(fresh().subarray(0, at)), undefined, `${at} bytes`);
  }
  assert.ok(acceptor.authenticate(fresh()), 'the unchanged one is good');
});

test('a client that does not offer signing, sealing, extended security, 128 bit or key exchange gets no challenge', () => {
  const { sign, seal, extendedSessionSecurity, key128, keyExchange } = NTLM_FLAGS;
  for (const flag of [sign, seal, extendedSessionSecurity, key128, keyExchange]) {
    assert.equal(new NtlmAcceptor([account], 'hv1').challenge(negotiate(FLAGS & ~flag)), undefined);
  }
});

test('a challenge is good for one attempt and differs each time', () => {
  const acceptor = new NtlmAcceptor([account], 'hv1');
  const first = negotiate();
  const challenge = acceptor.challenge(first)!;
  const wrong = authenticateToken(first, challenge, { ...account, password: 'no' });
  const right = authenticateToken(first, challenge, account);
  assert.equal(acceptor.authenticate(wrong.token), undefined);
  assert.equal(acceptor.authenticate(right.token), undefined, 'the second attempt on one challenge');
  assert.notDeepEqual(acceptor.challenge(first), challenge);
});
