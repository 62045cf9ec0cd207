/** Method calls, one test a trait: each name ends with where the trait was seen or is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NS } from './names.ts';
import { OTHER_VM_ID, VM_ID } from './provider.fixture.ts';
import { invoke, uriOf } from './requests.fixture.ts';
import { all, faultOf, text, withWire, type Answer } from './wire.fixture.ts';
import { element, escapeXml } from './xml-writer.ts';

const VMS = uriOf('Msvm_ComputerSystem');
const SERVICE = 'Msvm_VirtualSystemManagementService';

test('a service without a selector fails: invalid method parameters for the management service, w:InternalError for others (go-wsman management_service_selector_test.go)', () =>
  withWire({}, async ({ ask, provider }) => {
    const management = await ask(invoke(SERVICE, 'Echo', '', {}));
    assert.equal(text(management.root, 'StatusCode'), String(0x8004102f));
    const image = await ask(invoke('Msvm_ImageManagementService', 'Echo', '', {}));
    assert.equal(faultOf(image).subcode, 'w:InternalError');
    assert.equal(provider.calls.length, 0);
    const withOne = await ask(invoke(SERVICE, 'Echo', '', { selectors: { CreationClassName: SERVICE } }));
    assert.equal(withOne.status, 200, 'CreationClassName alone suffices');
    assert.equal(provider.calls[0]?.target.keys['SystemName'], 'HV1');
  }));

const REFERENCE =
  element('a:Address', {}, 'http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous') +
  element(
    'a:ReferenceParameters',
    {},
    element('w:ResourceURI', {}, VMS) +
      element('w:SelectorSet', {}, element('w:Selector', { Name: 'Name' }, VM_ID)),
  );

test('a reference parameter is taken unwrapped; in a:EndpointReference it is w:SchemaValidationError (go-wsman management_service_selector_test.go)', () =>
  withWire({}, async ({ ask, provider }) => {
    const good = await ask(invoke(SERVICE, 'Echo', element('p:Reference', {}, REFERENCE)));
    assert.equal(good.status, 200);
    assert.deepEqual(provider.calls[0]?.parameters['Reference'], {
      className: 'Msvm_ComputerSystem',
      keys: { Name: VM_ID },
    });
    const wrapped = element('p:Reference', {}, element('a:EndpointReference', {}, REFERENCE));
    const fault = await ask(invoke(SERVICE, 'Echo', wrapped));
    assert.deepEqual(faultOf(fault), { subcode: 'w:SchemaValidationError', code: 2150858817 });
    assert.equal(provider.calls.length, 1);
  }));

test('parameters arrive by their declaration: 64 bit exact, arrays in order with nil kept, one element still an array (DSP0230)', () =>
  withWire({}, async ({ ask, provider }) => {
    const parameters =
      element('p:Number', {}, '18446744073709551615') +
      '<p:Numbers>1</p:Numbers><p:Numbers xsi:nil="true"/><p:Numbers>3</p:Numbers>' +
      element('p:Text', {}, escapeXml(' <a> & "b" ')) +
      element('p:Flag', {}, 'TRUE');
    await ask(invoke(SERVICE, 'Echo', parameters));
    assert.deepEqual(provider.calls[0]?.parameters, {
      Number: 2n ** 64n - 1n,
      Numbers: [1, null, 3],
      Text: ' <a> & "b" ',
      Flag: true,
    });
    await ask(invoke(SERVICE, 'Echo', '<p:Numbers>7</p:Numbers>'));
    assert.deepEqual(provider.calls[1]?.parameters, { Numbers: [7] });
  }));

test('out parameters that are null are there as nil, in alphabetical order before ReturnValue (go-wsman, ResultingSnapshot at 4096)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(invoke(SERVICE, 'Echo', '<p:Text>x</p:Text>'));
    const [output] = all(answer.root, 'Echo_OUTPUT');
    const children = output!.children.map((child) => child.local);
    assert.deepEqual(children, ['Flag', 'Job', 'Number', 'Reference', 'Settings', 'Text', 'ReturnValue']);
    assert.equal(all(output!, 'Job')[0]?.attribute('nil', NS.xsi), 'true');
    assert.equal(text(answer.root, 'Action'), `${uriOf(SERVICE)}/EchoResponse`);
  }));

test('ReturnValue may come first (seen from OMI)', () =>
  withWire({ traits: { returnValue: 'first' } }, async ({ ask }) => {
    const answer = await ask(invoke(SERVICE, 'Echo', '<p:Text>x</p:Text>'));
    assert.equal(all(answer.root, 'Echo_OUTPUT')[0]!.children[0]?.local, 'ReturnValue');
  }));

const SETTINGS =
  '<INSTANCE CLASSNAME="Msvm_VirtualSystemSettingData"><PROPERTY NAME="ElementName" TYPE="string">' +
  '<VALUE>a &amp; b</VALUE></PROPERTY></INSTANCE>';

test('an embedded instance travels as CIM-XML text both ways (go-wsman/unsigned/invoke_response_get_vhd.xml)', () =>
  withWire({}, async ({ ask, provider }) => {
    const answer = await ask(invoke(SERVICE, 'Echo', element('p:Settings', {}, escapeXml(SETTINGS))));
    const className = 'Msvm_VirtualSystemSettingData';
    assert.deepEqual(provider.calls[0]?.parameters['Settings'], {
      className,
      properties: { ElementName: 'a & b' },
    });
    assert.match(
      text(answer.root, 'Settings') ?? '',
      /^<INSTANCE CLASSNAME="Msvm_VirtualSystemSettingData">.*<VALUE>a &amp; b<\/VALUE>/,
    );
    await ask(invoke(SERVICE, 'Echo', '<p:Settings></p:Settings>'));
    assert.equal(provider.calls[1]?.parameters['Settings'], null, 'empty text');
    await ask(invoke(SERVICE, 'Echo', '<p:Settings>instance of X</p:Settings>'));
    assert.equal(
      provider.calls[2]?.parameters['Settings'],
      'instance of X',
      'other text is for the model to refuse',
    );
  }));

test('entities inside CDATA fail the method: 32768 with &amp;, 32773 with &lt; (go-wsman issue 173)', () =>
  withWire({}, async ({ ask, provider }) => {
    const cdata = (xml: string): string => element('p:Settings', {}, `<![CDATA[${xml}]]>`);
    const and = await ask(invoke(SERVICE, 'Echo', cdata(SETTINGS)));
    const less = await ask(invoke(SERVICE, 'Echo', cdata(SETTINGS.replace('&amp;', '&lt;'))));
    assert.deepEqual([text(and.root, 'ReturnValue'), text(less.root, 'ReturnValue')], ['32768', '32773']);
    assert.equal(provider.calls.length, 0);
    await ask(invoke(SERVICE, 'Echo', cdata(SETTINGS.replace('&amp;', 'and'))));
    assert.equal(provider.calls.length, 1, 'plain text in CDATA is fine');
  }));

test('objects among the out parameters are element trees with their own type (GetSummaryInformation; by specification)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(invoke(SERVICE, 'Summaries', ''));
    const objects = all(answer.root, 'Summaries').filter(
      (one) => one.attribute('type', NS.xsi) !== undefined,
    );
    assert.deepEqual(
      objects.map((one) => text(one, 'Name')),
      ['HV1', VM_ID, OTHER_VM_ID],
    );
  }));

test('names in a body are compared with regard to case, and values by type (WinRM resource URIs; by specification)', () =>
  withWire({}, async ({ ask, provider }) => {
    const wrongCase = await ask(invoke(SERVICE, 'Echo', '<p:text>x</p:text>'));
    assert.equal(text(wrongCase.root, 'StatusCode'), String(0x8004102f));
    const wrong = [
      '<p:Number>-1</p:Number>',
      '<p:Number>x</p:Number>',
      '<p:Flag>1</p:Flag>',
      '<p:Text>a</p:Text><p:Text>b</p:Text>',
    ];
    for (const parameter of wrong) {
      assert.equal(
        faultOf(await ask(invoke(SERVICE, 'Echo', parameter))).subcode,
        'w:SchemaValidationError',
        parameter,
      );
    }
    assert.equal(faultOf(await ask(invoke(SERVICE, 'echo', ''))).subcode, 'a:ActionNotSupported');
    assert.equal(provider.calls.length, 0);
  }));

test('a WMI failure carries its status in __ExtendedStatus and not in the outer number (omi/fault_wmi_get_notfound_2012r2.xml, others by specification)', () =>
  withWire({}, async ({ ask }) => {
    const fail = async (status: number): Promise<Answer> =>
      ask(invoke(SERVICE, 'Fail', element('p:Status', {}, String(status))));
    const cases = [
      [0x80041002, 'a:DestinationUnreachable'],
      [0x80041003, 'w:AccessDenied'],
      [0x8004102f, 'w:InternalError'],
      [0x80041001, 'w:InternalError'],
    ] as const;
    for (const [status, subcode] of cases) {
      const answer = await fail(status);
      assert.deepEqual(
        [answer.status, faultOf(answer).subcode, text(answer.root, 'StatusCode')],
        [500, subcode, String(status)],
      );
    }
    assert.equal(faultOf(await fail(0x80041003)).code, 5);
  }));
