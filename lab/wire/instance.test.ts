/** Get and the shape of instances, one test a trait: each name ends with where the trait was seen or is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTION, NS } from './names.ts';
import { NAMESPACE, OTHER_VM_ID, VM_ID } from './provider.fixture.ts';
import { enumerate, get, request, uriOf } from './requests.fixture.ts';
import { instancesIn, shapeErrors } from './shape.fixture.ts';
import { all, faultOf, text, withWire, type Answer } from './wire.fixture.ts';

const VMS = uriOf('Msvm_ComputerSystem');
const VM_KEYS = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };

function names(answer: Answer): (string | undefined)[] {
  return instancesIn(answer.root).map((instance) => text(instance, 'Name'));
}

test('Get binds the prefix p twice: wsman.xsd on the envelope, the class on the instance (get_response_storagejob_*)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(get('Msvm_ComputerSystem', VM_KEYS));
    assert.match(
      answer.xml,
      /^<s:Envelope [^>]*xmlns:p="http:\/\/schemas.microsoft.com\/wbem\/wsman\/1\/wsman.xsd"/,
    );
    assert.match(answer.xml, new RegExp(`<p:Msvm_ComputerSystem [^>]*xmlns:p="${VMS}"`));
    assert.deepEqual([shapeErrors(answer.xml), names(answer)], [[], [VM_ID]]);
  }));

test('Get finds keys in any letter case (WinRM resource URIs are case-insensitive)', () =>
  withWire({}, async ({ ask }) => {
    const keys = { creationclassname: 'MSVM_ComputerSystem', NAME: VM_ID.toLowerCase() };
    assert.deepEqual(names(await ask(get('msvm_computersystem', keys))), [VM_ID]);
  }));

test('a null scalar is nil, a null array absent, an empty string an open and close pair (all 18 recorded instances)', () =>
  withWire({}, async ({ ask }) => {
    const vm = await ask(get('Msvm_ComputerSystem', VM_KEYS));
    assert.match(vm.xml, /<p:Caption xsi:nil="true"\/>/);
    assert.equal(all(vm.root, 'StatusDescriptions').length, 0);
    const settings = await ask(get('Msvm_VirtualSystemSettingData', { InstanceID: `Microsoft:${VM_ID}` }));
    assert.match(settings.xml, /<p:Notes>one<\/p:Notes><p:Notes><\/p:Notes>/);
  }));

test('datetimes and intervals are cim: children in UTC with trimmed fractions (get_response_storagejob_*, recorded_computersystem_pull_vm_off.xml)', () =>
  withWire({}, async ({ ask }) => {
    const { xml } = await ask(get('Msvm_ComputerSystem', VM_KEYS));
    assert.match(xml, /<p:ElapsedTime><cim:Interval>P0DT0H0M1\.00417S<\/cim:Interval><\/p:ElapsedTime>/);
    assert.match(xml, /<cim:Datetime>2026-07-29T14:11:00\.019Z<\/cim:Datetime>/);
    const other = await ask(get('Msvm_ComputerSystem', { ...VM_KEYS, Name: OTHER_VM_ID }));
    assert.match(
      other.xml,
      /<p:InstallDate><cim:Datetime>1601-01-01T00:00:00Z<\/cim:Datetime><\/p:InstallDate>/,
    );
  }));

test('a reference property holds its address and parameters directly, prefixes declared again (recorded_affectedjobelement_pull_created.xml)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(enumerate({ uri: uriOf('Msvm_SettingsDefineState'), optimized: true }));
    const [end] = all(answer.root, 'ManagedElement');
    assert.deepEqual(
      end?.children.map((child) => child.local),
      ['Address', 'ReferenceParameters'],
    );
    assert.equal(text(end!, 'ResourceURI'), VMS);
    assert.match(answer.xml, /<p:ManagedElement xmlns:a="[^"]+" xmlns:w="[^"]+"><a:Address>/);
  }));

test('a path in a string property carries host and namespace (go-wsman, Parent of a checkpoint)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(get('Msvm_VirtualSystemSettingData', { InstanceID: `Microsoft:${VM_ID}` }));
    const namespace = NAMESPACE.replaceAll('/', '\\');
    const expected = `\\\\HV1.lab.example\\${namespace}:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:${VM_ID}\\\\0"`;
    assert.equal(text(answer.root, 'Parent'), expected);
  }));

test('Get of what is not there: a:DestinationUnreachable 2150858752, addressing/fault, __ExtendedStatus (omi/fault_wmi_get_notfound_2012r2.xml)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(get('Msvm_ComputerSystem', { ...VM_KEYS, Name: 'gone' }));
    assert.equal(answer.status, 500);
    assert.deepEqual(faultOf(answer), { subcode: 'a:DestinationUnreachable', code: 2150858752 });
    assert.equal(text(answer.root, 'Action'), `${NS.addressing}/fault`);
    assert.match(text(answer.root, 'FaultDetail') ?? '', /\/InvalidResourceURI$/);
    const machines = all(answer.root, 'WSManFault').map((fault) => fault.attribute('Machine'));
    assert.deepEqual(machines, ['hv1', 'HV1.lab.example']);
    assert.equal(text(answer.root, 'Operation'), 'GetObject');
  }));

test('an unknown class, and a job asked of the wrong class, are a:DestinationUnreachable (go-wsman job.go)', () =>
  withWire({}, async ({ ask }) => {
    const unknown = await ask(get('Msvm_None', { InstanceID: 'x' }));
    const wrong = await ask(get('Msvm_VirtualSystemSettingData', { InstanceID: VM_ID }));
    for (const answer of [unknown, wrong]) assert.equal(faultOf(answer).code, 2150858752);
    const elsewhere = await ask(enumerate({ uri: VMS.replace('virtualization/v2', 'cimv2') }));
    assert.equal(faultOf(elsewhere).code, 2150858752);
  }));

test('selectors the class has not, or too few of them, are w:InvalidSelectors (pypsrp/fault_invalid_selectors)', () =>
  withWire({}, async ({ ask }) => {
    const unexpected = await ask(get('Msvm_ComputerSystem', { ...VM_KEYS, ElementName: 'x' }));
    assert.deepEqual(faultOf(unexpected), { subcode: 'w:InvalidSelectors', code: 2150858843 });
    assert.match(text(unexpected.root, 'FaultDetail') ?? '', /\/UnexpectedSelectors$/);
    const few = await ask(get('Msvm_ComputerSystem', { Name: VM_ID }));
    assert.deepEqual(faultOf(few), { subcode: 'w:InvalidSelectors', code: 2150858842 });
  }));

test('the configuration names the limits of the host (pypsrp/get_config_envelope_500.response.xml)', () =>
  withWire({ traits: { maxEnvelopeBytes: 150 * 1024 } }, async ({ ask }) => {
    const answer = await ask(request(ACTION.get, '', { uri: NS.config }));
    const value = (name: string): string | undefined => text(answer.root, name);
    assert.deepEqual(
      [value('MaxEnvelopeSizekb'), value('MaxTimeoutms'), value('MaxBatchItems')],
      ['150', '60000', '32000'],
    );
    assert.deepEqual([value('AllowUnencrypted'), value('Basic')], ['false', 'false']);
  }));
