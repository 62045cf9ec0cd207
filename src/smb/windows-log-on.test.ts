/** The log-on that Microsoft published byte by byte, followed with our own code from the first message to the keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NtlmSeal } from '../ntlm/index.ts';
import { isSigned } from './cmac.ts';
import { DIALECT_311 } from './format.ts';
import { readNegotiate } from './negotiate.ts';
import { deriveSessionKeys, PreauthHash } from './session-keys.ts';
import { readSessionSetup } from './session-setup.ts';
import { mechanismList, readAnswer, writeFirst, writeNext } from '../auth/spnego.ts';
import { openBox } from './testing/false-server.fixture.ts';
import { WINDOWS_BOXES, WINDOWS_KEYS, WINDOWS_LOG_ON } from './testing/recorded.fixture.ts';
import { Sealing } from './transform.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const NTLM_OID = Buffer.from('2b06010401823702020a', 'hex');
const { finalSetupReply, negotiateReply, setupReply, setupRequest, secondSetupRequest } = WINDOWS_LOG_ON;

test('the hash over the five messages before the last is the one Windows had', () => {
  const hash = new PreauthHash();
  for (const [name, message] of Object.entries(WINDOWS_LOG_ON)) {
    if (name !== 'finalSetupReply') hash.add(message);
  }
  assert.equal(hex(hash.value), hex(WINDOWS_KEYS.preauthHash));
});

test('session key and hash give the three keys Windows had', () => {
  const keys = deriveSessionKeys('aes-128-gcm', WINDOWS_KEYS.sessionKey, WINDOWS_KEYS.preauthHash);
  assert.equal(hex(keys.signing), WINDOWS_KEYS.signing);
  assert.equal(hex(keys.sealing), WINDOWS_KEYS.sealing);
  assert.equal(hex(keys.opening), WINDOWS_KEYS.opening);
});

test('the last answer of Windows is signed with the derived key, and with no other', () => {
  const key = Buffer.from(WINDOWS_KEYS.signing, 'hex');
  assert.ok(isSigned(key, finalSetupReply));
  const otherKey = Buffer.from(key);
  otherKey[0]! ^= 1;
  assert.ok(!isSigned(otherKey, finalSetupReply));
  for (let at = 0; at < finalSetupReply.length; at += 1) {
    const changed = Buffer.from(finalSetupReply);
    changed[at]! ^= 0x10;
    assert.ok(!isSigned(key, changed), `byte ${at}`);
  }
});

test('the negotiation of Windows is read: 3.1.1, AES-128-GCM, reads of 8 MiB', () => {
  assert.deepEqual(readNegotiate(negotiateReply), {
    dialect: DIALECT_311,
    cipher: 'aes-128-gcm',
    maxReadSize: 8 * 1024 * 1024,
  });
});

test('the SPNEGO tokens we write are those Windows wrote, byte for byte', () => {
  const firstToken = setupRequest.subarray(setupRequest.indexOf('NTLMSSP'));
  assert.ok(setupRequest.subarray(88).equals(writeFirst(NTLM_OID, firstToken)));
  const sent = secondSetupRequest.subarray(88);
  const { token, mic } = readAnswer(sent);
  assert.ok(sent.equals(writeNext(token!, mic!)));
});

test('the MICs over the list of mechanisms are those Windows made and sent', () => {
  const list = mechanismList(NTLM_OID);
  const client = new NtlmSeal(WINDOWS_KEYS.sessionKey, 'client');
  const sent = readAnswer(secondSetupRequest.subarray(88));
  assert.equal(hex(client.sign(list)), hex(sent.mic!));
  const answered = readAnswer(readSessionSetup(finalSetupReply).token);
  assert.equal(answered.state, 'complete');
  assert.ok(client.verify(list, answered.mic!));
});

test('the challenge of Windows is found inside its answer', () => {
  const answer = readAnswer(readSessionSetup(setupReply).token);
  assert.equal(answer.state, 'incomplete');
  assert.equal(hex(answer.mechanism!), hex(NTLM_OID));
  assert.equal(Buffer.from(answer.token!).subarray(0, 7).toString(), 'NTLMSSP');
});

test('what Windows encrypted with AES-128-GCM is decrypted, in both directions', () => {
  const { sessionKey, preauthHash, sessionId, sent, received, opened } = WINDOWS_BOXES;
  const keys = deriveSessionKeys('aes-128-gcm', sessionKey, preauthHash);
  assert.equal(hex(openBox(new Sealing(keys, sessionId), received)!), hex(opened));
  const asServer = new Sealing({ ...keys, opening: keys.sealing }, sessionId);
  assert.ok(Buffer.from(openBox(asServer, sent)!).includes('Smb3 encryption testing'));
});
