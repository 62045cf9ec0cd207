/** Faults by number, whatever the language; recorded ones are in recordings.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NS } from './names.ts';
import { faultFrom } from './soap-fault.ts';
import { parseXml } from './xml.ts';

const CONTEXT = { host: 'hv1', user: 'u', resource: 'Msvm_X', seconds: 60, limitBytes: 512_000 };

function codeOf(detail: string, subcode = 'w:InternalError'): string {
  const xml =
    `<s:Fault xmlns:s="${NS.soap}" xmlns:w="${NS.wsman}" xmlns:f="${NS.fault}" xmlns:xsi="${NS.xsi}">` +
    `<s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>${subcode}</s:Value></s:Subcode></s:Code>` +
    `<s:Reason><s:Text xml:lang="ja-JP">アクセスが拒否されました</s:Text></s:Reason><s:Detail>${detail}</s:Detail></s:Fault>`;
  return faultFrom(parseXml(xml), CONTEXT).code;
}
const wsman = (code: number, inner = ''): string =>
  `<f:WSManFault Code="${code}"><f:Message>${inner}</f:Message></f:WSManFault>`;

const MEANINGS: readonly (readonly [number, string])[] = [
  [5, 'WINRM_ACCESS_DENIED'],
  [0x80041003, 'WINRM_ACCESS_DENIED'],
  [2150858752, 'WINRM_NOT_FOUND'],
  [0x80041002, 'WINRM_NOT_FOUND'],
  [0x8004100e, 'WINRM_CLASS_UNKNOWN'],
  [2150858793, 'WINRM_TIMED_OUT'],
  [2150858790, 'WINRM_ENVELOPE_TOO_LARGE'],
  [2150858824, 'WINRM_ENVELOPE_TOO_LARGE'],
  [2150858825, 'WINRM_ENVELOPE_TOO_LARGE'],
  [2150858778, 'WINRM_BAD_FILTER'],
  [2150858817, 'WINRM_SCHEMA_INVALID'],
  [2150858843, 'WINRM_SELECTORS_INVALID'],
  [2150859173, 'WINRM_QUOTA_EXCEEDED'],
  [0x8004102f, 'WINRM_PARAMETER_INVALID'],
  [2150859174, 'WINRM_QUOTA_EXCEEDED'],
  [2150858779, 'WINRM_CONTEXT_LOST'],
  [2150859038, 'WINRM_PARAMETER_INVALID'],
  [2150859010, 'WINRM_PROVIDER_FAILED'],
  [0x12345678, 'WINRM_PROVIDER_FAILED'],
];

for (const [code, expected] of MEANINGS) {
  test(`code ${code} is ${expected}`, () => assert.equal(codeOf(wsman(code)), expected));
}

test('the innermost known number decides', () => {
  const nested = wsman(2150859010, `<f:ProviderFault>${wsman(2150858752)}</f:ProviderFault>`);
  assert.equal(codeOf(nested), 'WINRM_NOT_FOUND');
  const status =
    '<p:__ExtendedStatus xmlns:p="urn:any"><p:StatusCode>-2147217405</p:StatusCode></p:__ExtendedStatus>';
  const extended = wsman(
    2150858752,
    `<f:ProviderFault><f:ExtendedError>${status}</f:ExtendedError></f:ProviderFault>`,
  );
  assert.equal(codeOf(extended), 'WINRM_ACCESS_DENIED', 'a negative HRESULT is the unsigned one');
});

test('a null status and code 0 say nothing', () => {
  const status = '<p:__ExtendedStatus xmlns:p="urn:any"><p:StatusCode xsi:nil="true"/></p:__ExtendedStatus>';
  assert.equal(codeOf(wsman(5, `<f:ProviderFault>${status}</f:ProviderFault>`)), 'WINRM_ACCESS_DENIED');
  assert.equal(codeOf(wsman(0), 'w:TimedOut'), 'WINRM_TIMED_OUT');
});

test('without a known number the subcode decides, under any prefix', () => {
  assert.equal(codeOf('', 'w:AccessDenied'), 'WINRM_ACCESS_DENIED');
  assert.equal(codeOf('', 'zz:InvalidEnumerationContext'), 'WINRM_CONTEXT_LOST');
  assert.equal(codeOf('', 'w:EncodingLimit'), 'WINRM_ENVELOPE_TOO_LARGE');
  assert.equal(codeOf('', 'w:NeverSeen'), 'WINRM_PROVIDER_FAILED');
});

test('a subcode with a name that every object has means nothing', () => {
  for (const subcode of ['constructor', 'toString', '__proto__']) {
    assert.equal(codeOf('', subcode), 'WINRM_PROVIDER_FAILED');
  }
});

test('the message of the host is shown, bounded', () => {
  const xml = `<s:Fault xmlns:s="${NS.soap}"><s:Reason><s:Text>${'長い '.repeat(1000)}</s:Text></s:Reason></s:Fault>`;
  const { message } = faultFrom(parseXml(xml), CONTEXT);
  assert.ok(message.includes('長い 長い') && message.length < 700);
});
