/** Envelopes, headers, limits and faults, one test a trait: each name ends with where the trait was seen or is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NS } from './names.ts';
import { VM_ID } from './provider.fixture.ts';
import { MESSAGE_ID, enumerate, get, invoke, uriOf } from './requests.fixture.ts';
import { instancesIn } from './shape.fixture.ts';
import { FILTERED, all, faultOf, text, withWire, type Answer } from './wire.fixture.ts';
import { element } from './xml-writer.ts';

const VMS = uriOf('Msvm_ComputerSystem');
const VM_KEYS = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };
const SERVICE = 'Msvm_VirtualSystemManagementService';

function names(answer: Answer): (string | undefined)[] {
  return instancesIn(answer.root).map((instance) => text(instance, 'Name'));
}

test('an answer beyond the envelope is the fault 2150858824, beyond the limit of the host 2150858825 (wsmerror.h)', () =>
  withWire({}, async ({ ask }) => {
    const fill = element('p:Count', {}, '20000');
    const asked = await ask(
      invoke(SERVICE, 'Fill', fill, { selectors: { Name: 'vmms' }, maxEnvelopeBytes: 100_000 }),
    );
    assert.deepEqual([asked.status, faultOf(asked)], [500, { subcode: 'w:EncodingLimit', code: 2150858824 }]);
    const own = await ask(
      invoke(SERVICE, 'Fill', fill, { selectors: { Name: 'vmms' }, maxEnvelopeBytes: 4_000_000 }),
    );
    assert.deepEqual(faultOf(own), { subcode: 'w:EncodingLimit', code: 2150858825 });
  }));

test('a MaxEnvelopeSize below 8192 is refused (MS-WSMV 3.1.4.1.7)', () =>
  withWire({}, async ({ ask }) => {
    assert.equal(
      faultOf(await ask(enumerate({ uri: VMS, maxEnvelopeBytes: 8191 }))).subcode,
      'w:EncodingLimit',
    );
    assert.equal((await ask(enumerate({ uri: VMS, maxEnvelopeBytes: 8192 }))).status, 200);
  }));

test('there is no XML declaration, and xml:lang is the language of the host whatever the client asks (recorded bodies)', () =>
  withWire({}, async ({ ask }) => {
    const headers = element('w:Locale', { 'xml:lang': 'en-US', 's:mustUnderstand': 'false' }, '');
    const answer = await ask(enumerate({ uri: VMS, headers }));
    assert.ok(answer.xml.startsWith('<s:Envelope xml:lang="ja-JP"'));
    const fault = await ask(enumerate({ uri: uriOf('Msvm_None'), headers }));
    assert.match(text(fault.root, 'Text') ?? '', /リソース/);
  }));

test('an English host answers in English (pypsrp/fault_*)', () =>
  withWire({ traits: { language: 'en-US' } }, async ({ ask }) => {
    const fault = await ask(enumerate({ uri: uriOf('Msvm_None') }));
    assert.ok(fault.xml.startsWith('<s:Envelope xml:lang="en-US"'));
    assert.match(text(fault.root, 'Text') ?? '', /^[\x20-\x7e]+$/);
  }));

test('the detail may be MSFT_WmiError instead (WinRb-WinRM/wmi_error_v2.xml)', () =>
  withWire({ traits: { faultDetail: 'MSFT_WmiError' } }, async ({ ask }) => {
    const answer = await ask(get('Msvm_ComputerSystem', { ...VM_KEYS, Name: 'gone' }));
    assert.equal(all(answer.root, 'WSManFault').length, 0);
    assert.equal(text(answer.root, 'error_Code'), '2150858752');
    const [detail] = all(answer.root, 'MSFT_WmiError');
    assert.equal(text(detail!, 'MessageID'), 'HRESULT 0x80041002');
  }));

test('too many operations of a user are w:QuotaLimit with MSFT_WmiError, CIM status 27 (WinRb-WinRM/wmi_error_v2.xml)', () =>
  withWire({ traits: { enumerationsPerUserMax: 2 } }, async ({ ask }) => {
    for (let count = 0; count < 2; count += 1) assert.equal((await ask(enumerate({ uri: VMS }))).status, 200);
    const answer = await ask(enumerate({ uri: VMS }));
    assert.equal(faultOf(answer).subcode, 'w:QuotaLimit');
    assert.equal(text(answer.root, 'CIMStatusCode'), '27');
  }));

test('a call beyond OperationTimeout is w:TimedOut 2150858793, and what it began goes on (pypsrp/fault_timedout)', () =>
  withWire({}, async ({ ask, provider }) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let ended = false;
    provider.gate = promise.then(() => void (ended = true));
    const answer = await ask(
      invoke(SERVICE, 'Wait', '', { selectors: { Name: 'vmms' }, timeout: 'PT0.05S' }),
    );
    assert.deepEqual(faultOf(answer), { subcode: 'w:TimedOut', code: 2150858793 });
    assert.equal(ended, false);
    resolve();
    await provider.gate;
    assert.equal((await ask(enumerate({ uri: VMS }))).status, 200, 'the session lives on');
  }));

test('a longer OperationTimeout counts as MaxTimeoutms (MS-WSMV 2.2.4.10)', () =>
  withWire({ traits: { operationTimeoutMs: 50 } }, async ({ ask, provider }) => {
    provider.gate = new Promise(() => undefined);
    assert.equal(faultOf(await ask(invoke(SERVICE, 'Wait', ''))).subcode, 'w:TimedOut');
  }));

test('a negative OperationTimeout is a:InvalidMessageInformationHeader 2150858767 (pypsrp/fault_invalid_header_timeout)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(enumerate({ uri: VMS, timeout: 'PT-1S' }));
    assert.deepEqual(faultOf(answer), { subcode: 'a:InvalidMessageInformationHeader', code: 2150858767 });
    assert.equal(text(answer.root, 'Action'), `${NS.addressing}/fault`);
    assert.equal(text(answer.root, 'RelatesTo'), MESSAGE_ID);
  }));

test('a header that must be understood and is not is refused (SOAP 1.2, 5.2.3)', () =>
  withWire({}, async ({ ask }) => {
    const headers = '<z:Unknown xmlns:z="urn:z" s:mustUnderstand="true"/>';
    assert.equal(faultOf(await ask(enumerate({ uri: VMS, headers }))).subcode, 's:MustUnderstand');
    assert.equal((await ask(enumerate({ uri: VMS, headers: headers.replace('true', 'false') }))).status, 200);
  }));

test('a body that is no XML, no envelope or has a document type is a fault and not the end (pypsrp/fault_schema_validation_2008.xml)', () =>
  withWire({}, async ({ ask }) => {
    for (const bad of ['', 'x', '<a/>', '<!DOCTYPE a><a/>', '<s:Envelope', '<a>'.repeat(500)]) {
      const answer = await ask(bad);
      assert.deepEqual(
        [answer.status, faultOf(answer).subcode],
        [500, 'w:SchemaValidationError'],
        bad.slice(0, 20),
      );
    }
    assert.equal((await ask(enumerate({ uri: VMS }))).status, 200);
  }));

test('a UAC-filtered administrator is let in, sees nothing and may call nothing (UAC remote restrictions; the form is by design)', () =>
  withWire({ account: FILTERED }, async ({ ask }) => {
    assert.deepEqual(names(await ask(enumerate({ uri: VMS, optimized: true, max: 9 }))), []);
    const wql = 'SELECT * FROM Msvm_ComputerSystem';
    assert.deepEqual(names(await ask(enumerate({ wql, optimized: true, max: 9 }))), []);
    assert.equal(faultOf(await ask(get('Msvm_ComputerSystem', VM_KEYS))).code, 2150858752);
    assert.equal(faultOf(await ask(invoke(SERVICE, 'Echo', ''))).subcode, 'w:AccessDenied');
  }));

test('Identify is answered without headers (DSP0226 11)', () =>
  withWire({}, async ({ ask }) => {
    const body = `<s:Body><i:Identify xmlns:i="${NS.identity}"/></s:Body>`;
    const answer = await ask(`<s:Envelope xmlns:s="${NS.soap}"><s:Header/>${body}</s:Envelope>`);
    assert.equal(text(answer.root, 'ProductVendor'), 'Microsoft Corporation');
  }));

test('a failure of the lab itself is counted with its text and does not pass for one of the host', () =>
  withWire({}, async ({ ask, provider, wire }) => {
    provider.beforeAnswer = () => {
      throw new Error('bug in the model');
    };
    assert.equal((await ask(invoke(SERVICE, 'Echo', ''))).status, 500);
    assert.equal(wire.stats.internalErrors, 1);
    assert.match(wire.stats.lastInternalError ?? '', /bug in the model/);
  }));
