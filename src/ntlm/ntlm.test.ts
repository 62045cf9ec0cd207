/** NTLM against the numbers of MS-NLMP 4.2.4, and against servers that do not offer what we demand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFault } from '../base/index.ts';
import { Credentials } from './credentials.ts';
import {
  AV,
  challengeMessage,
  NTLM_FLAGS,
  NTLM_SIGNATURE,
  readAvPairs,
  utf16,
  writeAvPairs,
} from './format.ts';
import { NtlmHandshake } from './handshake.ts';
import { lmResponse, ntResponse, passwordKey, sealingKey, signingKey } from './keys.ts';
import { Rc4 } from './rc4.ts';
import { NtlmSeal } from './seal.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const EXPORTED_KEY = Buffer.alloc(16, 0x55);
const CLIENT_CHALLENGE = Buffer.alloc(8, 0xaa);
const SERVER_CHALLENGE = Buffer.from('0123456789abcdef', 'hex');
const KEY = passwordKey('User', 'Domain', 'Password');

test('MS-NLMP 4.2.4.1: NTOWFv2, session base key, proof', () => {
  assert.equal(hex(KEY), '0c868a403bfd7a93a3001ef22ef02e3f');
  const { response, sessionBaseKey } = ntResponse(KEY, {
    serverChallenge: SERVER_CHALLENGE,
    clientChallenge: CLIENT_CHALLENGE,
    time: new Uint8Array(8),
    targetInfo: writeAvPairs([
      { id: 2, value: utf16('Domain') },
      { id: 1, value: utf16('Server') },
    ]),
  });
  assert.equal(hex(response.subarray(0, 16)), '68cd0ab851e51c96aabc927bebef6a1c');
  assert.equal(hex(sessionBaseKey), '8de40ccadbc14a82f15cb0ad0de95ca3');
  assert.equal(hex(new Rc4(sessionBaseKey).apply(EXPORTED_KEY)), 'c5dad2544fc9799094ce1ce90bc9d03e');
});

test('MS-NLMP 4.2.4.2.1: LMv2 response', () => {
  const response = lmResponse(KEY, SERVER_CHALLENGE, CLIENT_CHALLENGE);
  assert.equal(hex(response), '86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa');
});

test('MS-NLMP 4.2.4.4: signing and sealing keys of both directions', () => {
  assert.equal(hex(signingKey(EXPORTED_KEY, 'client')), '4788dc861b4782f35d43fd98fe1a2d39');
  assert.equal(hex(sealingKey(EXPORTED_KEY, 'client')), '59f600973cc4960a25480a7c196e4c58');
  assert.equal(hex(signingKey(EXPORTED_KEY, 'server')), 'd04d6f10741041d1d246d64188d7a8ad');
  assert.equal(hex(sealingKey(EXPORTED_KEY, 'server')), '9355f3a957c1583d25c4c2f11e40390e');
});

test('MS-NLMP 4.2.4.4: the sealed "Plaintext" and its signature', () => {
  const sealed = new NtlmSeal(EXPORTED_KEY, 'client').seal(utf16('Plaintext'));
  assert.equal(hex(sealed.ciphertext), '54e50165bf1936dc996020c1811b0f06fb5f');
  assert.equal(hex(sealed.signature), '010000007fb38ec5c55d497600000000');
});

test('signatures carry the number of their message: MS-NLMP 2.2.2.9.2', () => {
  const client = new NtlmSeal(EXPORTED_KEY, 'client');
  const numbers = [0, 1, 2].map(() => hex(client.seal(utf16('x')).signature.subarray(12)));
  assert.deepEqual(numbers, ['00000000', '01000000', '02000000']);
});

test('what one side seals the other reads, message after message', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (messages) => {
      const client = new NtlmSeal(EXPORTED_KEY, 'client');
      const server = new NtlmSeal(EXPORTED_KEY, 'server');
      for (const message of messages) assert.deepEqual(server.unseal(client.seal(message)), message);
    }),
  );
});

test('a message with any one bit changed is not read', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 60 }),
      fc.nat(),
      fc.integer({ min: 0, max: 7 }),
      (plain, at, bit) => {
        const { signature, ciphertext } = new NtlmSeal(EXPORTED_KEY, 'server').seal(plain);
        const bytes = Buffer.concat([signature, ciphertext]);
        bytes[at % bytes.length]! ^= 1 << bit;
        const damaged = { signature: bytes.subarray(0, 16), ciphertext: bytes.subarray(16) };
        assert.equal(new NtlmSeal(EXPORTED_KEY, 'client').unseal(damaged), undefined);
      },
    ),
  );
});

test('a message that is repeated, skipped or of the other direction is not read', () => {
  const server = new NtlmSeal(EXPORTED_KEY, 'server');
  const [first, second] = [server.seal(utf16('one')), server.seal(utf16('two'))];
  const client = new NtlmSeal(EXPORTED_KEY, 'client');
  assert.ok(client.unseal(first));
  assert.equal(client.unseal(first), undefined, 'repeated');
  assert.equal(new NtlmSeal(EXPORTED_KEY, 'client').unseal(second), undefined, 'skipped');
  assert.equal(new NtlmSeal(EXPORTED_KEY, 'server').unseal(first), undefined, 'reflected');
});

test('a user name is raised character by character, as Windows does: ß stays, é becomes É', () => {
  assert.deepEqual(passwordKey('grün', 'D', 'p'), passwordKey('GRÜN', 'D', 'p'));
  assert.notDeepEqual(passwordKey('straße', 'D', 'p'), passwordKey('STRASSE', 'D', 'p'));
});

const handshake = (): NtlmHandshake =>
  new NtlmHandshake(new Credentials('D\\u', 'secret'), {
    host: 'host.example',
    service: 'HTTP',
  });

function challenge(flags: number, targetInfo: Uint8Array): Uint8Array {
  const head = new Uint8Array(48);
  challengeMessage.write(head, {
    signature: NTLM_SIGNATURE,
    type: 2,
    flags,
    serverChallenge: SERVER_CHALLENGE,
    targetInfo: { offset: 48, length: targetInfo.length },
  });
  return Buffer.concat([head, targetInfo]);
}

const ALL_FLAGS = Object.values(NTLM_FLAGS).reduce((all, bit) => (all | bit) >>> 0, 0);
const TARGET_INFO = writeAvPairs([{ id: AV.timestamp, value: new Uint8Array(8) }]);

for (const name of ['sign', 'seal', 'extendedSessionSecurity', 'keyLength128', 'keyExchange'] as const) {
  test(`a server without ${name} is refused before anything derived from the password is sent`, async () => {
    const weak = challenge((ALL_FLAGS & ~NTLM_FLAGS[name]) >>> 0, TARGET_INFO);
    await assert.rejects(handshake().authenticate(weak), {
      code: 'NTLM_SECURITY_REFUSED',
      message: new RegExp(name),
    });
  });
}

test('a damaged challenge gives a fault, whatever its bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(60), fc.nat(), fc.nat(255), async (length, at, value) => {
      const bytes = Buffer.from(challenge(ALL_FLAGS, TARGET_INFO)).subarray(0, length);
      if (length > 0) bytes[at % length] = value;
      await handshake()
        .authenticate(bytes)
        .catch((error: unknown) => assert.ok(isFault(error), String(error)));
    }),
  );
});

test('a time of another length than 8 bytes, and pairs too long to come back in the answer, are refused', async () => {
  const pair = (id: number, length: number): Uint8Array =>
    writeAvPairs([{ id, value: new Uint8Array(length) }]);
  for (const info of [
    pair(AV.timestamp, 0),
    pair(AV.timestamp, 7),
    pair(AV.timestamp, 20),
    pair(2, 65_000),
  ]) {
    await assert.rejects(handshake().authenticate(challenge(ALL_FLAGS, info)), {
      code: 'NTLM_BAD_CHALLENGE',
    });
  }
});

test('AV pairs survive writing and reading; any cut is noticed', () => {
  const pair = fc.record(
    { id: fc.integer({ min: 1, max: 20 }), value: fc.uint8Array({ maxLength: 40 }) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(pair), fc.nat(), (pairs, cut) => {
      const bytes = writeAvPairs(pairs);
      assert.deepEqual(
        readAvPairs(bytes)!.map(({ id, value }) => ({ id, value: Uint8Array.from(value) })),
        pairs,
      );
      assert.equal(readAvPairs(bytes.subarray(0, cut % bytes.length)), undefined);
    }),
  );
});

test('DOMAIN\\name, name@domain, .\\name and name are told apart', () => {
  const parts = (name: string): string[] => {
    const { user, domain } = new Credentials(name, 'x');
    return [domain, user];
  };
  assert.deepEqual(parts('CORP\\ann'), ['CORP', 'ann']);
  assert.deepEqual(parts('ann@corp.example'), ['', 'ann@corp.example']);
  assert.deepEqual(parts('.\\ann'), ['', 'ann']);
  assert.deepEqual(parts('ann'), ['', 'ann']);
});
