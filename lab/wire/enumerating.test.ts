/** Enumerating, one test a trait of the real host: each name ends with where the trait was seen or is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTION, NS } from './names.ts';
import { OTHER_VM_ID, VM_ID } from './provider.fixture.ts';
import { MESSAGE_ID, enumerate, pull, release, request, uriOf } from './requests.fixture.ts';
import { instancesIn, shapeErrors } from './shape.fixture.ts';
import { all, faultOf, text, withWire, type Answer } from './wire.fixture.ts';
import { element } from './xml-writer.ts';

const VMS = uriOf('Msvm_ComputerSystem');
const VM_KEYS = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };

function names(answer: Answer): (string | undefined)[] {
  return instancesIn(answer.root).map((instance) => text(instance, 'Name'));
}

function contextOf(answer: Answer): string | undefined {
  return text(answer.root, 'EnumerationContext');
}

test('Enumerate answers with a context and nothing else (recorded_computersystem_enumerate.xml)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(enumerate({ uri: VMS }));
    const [response] = all(answer.root, 'EnumerateResponse');
    assert.deepEqual(
      response?.children.map((child) => child.local),
      ['EnumerationContext'],
    );
    assert.equal(text(answer.root, 'Action'), `${ACTION.enumerate}Response`);
    assert.equal(text(answer.root, 'RelatesTo'), MESSAGE_ID);
  }));

test('a Pull without MaxElements gives one instance and a fresh context; the last comes with EndOfSequence and no context (recorded_computersystem_pull_*)', () =>
  withWire({}, async ({ ask }) => {
    const seen: unknown[] = [];
    const contexts = [contextOf(await ask(enumerate({ uri: VMS })))!];
    for (;;) {
      const answer = await ask(pull(contexts.at(-1)!));
      seen.push(...names(answer));
      assert.deepEqual(shapeErrors(answer.xml), []);
      const context = contextOf(answer);
      assert.equal(all(answer.root, 'EndOfSequence').length, context === undefined ? 1 : 0);
      assert.ok(all(answer.root, 'Items').every((items) => items.uri === NS.enumeration));
      if (context === undefined) break;
      contexts.push(context);
    }
    assert.deepEqual(seen, ['HV1', VM_ID, OTHER_VM_ID]);
    assert.equal(new Set(contexts).size, 3);
  }));

test('a context is void once it was pulled from (recorded_computersystem_pull_*: each answer renews it)', () =>
  withWire({}, async ({ ask }) => {
    const context = contextOf(await ask(enumerate({ uri: VMS })))!;
    await ask(pull(context));
    const fault = faultOf(await ask(pull(context)));
    assert.deepEqual(fault, { subcode: 'n:InvalidEnumerationContext', code: 2150858779 });
  }));

test('a context is forgotten after the enumeration timeout (MS-WSMV, EnumerationTimeoutms)', () =>
  withWire({ traits: { enumerationTimeoutMs: 1 } }, async ({ ask }) => {
    const context = contextOf(await ask(enumerate({ uri: VMS })))!;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(faultOf(await ask(pull(context))).code, 2150858779);
  }));

test('Release ends an enumeration (DSP0226 8.5)', () =>
  withWire({}, async ({ ask }) => {
    const context = contextOf(await ask(enumerate({ uri: VMS })))!;
    const released = await ask(release(context));
    assert.deepEqual([released.status, text(released.root, 'Action')], [200, `${ACTION.release}Response`]);
    assert.equal(faultOf(await ask(pull(context))).code, 2150858779);
  }));

test('an optimized Enumerate has w:Items, w:EndOfSequence and an empty context; with nothing found no Items (pypsrp/enumerate_optimized_*)', () =>
  withWire({}, async ({ ask, provider }) => {
    const answer = await ask(enumerate({ uri: VMS, optimized: true, max: 100 }));
    assert.deepEqual(names(answer), ['HV1', VM_ID, OTHER_VM_ID]);
    const [response] = all(answer.root, 'EnumerateResponse');
    const children = response!.children.map((child) => `${child.uri} ${child.local}`);
    assert.deepEqual(children, [
      `${NS.enumeration} EnumerationContext`,
      `${NS.wsman} Items`,
      `${NS.wsman} EndOfSequence`,
    ]);
    assert.equal(contextOf(answer), '');
    provider.vms = [];
    const empty = await ask(enumerate({ uri: VMS, optimized: true, max: 100 }));
    assert.deepEqual(
      all(empty.root, 'EnumerateResponse')[0]!.children.map((child) => child.local),
      ['EnumerationContext', 'EndOfSequence'],
    );
  }));

test('an optimized Enumerate that is not finished hands out a context for Pull (DSP0226 8.2.3)', () =>
  withWire({}, async ({ ask }) => {
    const first = await ask(enumerate({ uri: VMS, optimized: true, max: 2 }));
    assert.equal(names(first).length, 2);
    assert.equal(all(first.root, 'EndOfSequence').length, 0);
    assert.deepEqual(names(await ask(pull(contextOf(first)!, { max: 2 }))), [OTHER_VM_ID]);
  }));

test('MaxElements beyond MaxBatchItems counts as that many (MS-WSMV, MaxBatchItems)', () =>
  withWire({ traits: { maxElementsCap: 2 } }, async ({ ask }) => {
    assert.equal(names(await ask(enumerate({ uri: VMS, optimized: true, max: 3 }))).length, 2);
  }));

test('a page holds fewer items when more would burst the envelope, and none is lost (MS-WSMV 3.1.4.1.7)', () =>
  withWire({}, async ({ ask, provider }) => {
    provider.vms = Array.from({ length: 200 }, (_, index) => {
      const [vm] = provider.vms;
      return { ...vm!, properties: { ...vm!.properties, Name: String(index) } };
    });
    const seen = [];
    const limit = { maxEnvelopeBytes: 20_000 };
    let answer = await ask(enumerate({ uri: VMS, optimized: true, max: 500, ...limit }));
    for (;;) {
      assert.ok(Buffer.byteLength(answer.xml) <= 20_000);
      seen.push(...names(answer));
      if (!contextOf(answer)) break;
      answer = await ask(pull(contextOf(answer)!, { max: 500, ...limit }));
    }
    assert.deepEqual(
      seen,
      provider.vms.map((vm) => vm.properties['Name']),
    );
  }));

test('WQL goes with the resource "*" only; on a class it is refused (go-wsman enumerate_test.go)', () =>
  withWire({}, async ({ ask }) => {
    const wql = `SELECT * FROM Msvm_ComputerSystem WHERE Name = '${VM_ID}'`;
    assert.deepEqual(names(await ask(enumerate({ wql, optimized: true }))), [VM_ID]);
    assert.equal(faultOf(await ask(enumerate({ uri: VMS, wql }))).code, 2150859003);
    assert.equal(faultOf(await ask(enumerate({}))).subcode, 'n:CannotProcessFilter');
  }));

test('a query for an unknown class is n:CannotProcessFilter, the cause only inside (WinRb-WinRM/soap_fault_v2.xml)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(enumerate({ wql: 'Select * from Msvm_None where name="x"' }));
    assert.deepEqual(faultOf(answer), { subcode: 'n:CannotProcessFilter', code: 2150858778 });
    assert.equal(text(answer.root, 'Action'), `${NS.enumeration}/fault`);
    const [, inner] = all(answer.root, 'WSManFault');
    assert.equal(inner?.attribute('Machine'), 'HV1.lab.example');
    const [status] = all(answer.root, '__ExtendedStatus');
    assert.deepEqual(
      [text(status!, 'Operation'), text(status!, 'ParameterInfo')],
      ['ExecQuery', 'Select * from Msvm_None where name="x"'],
    );
    assert.equal(all(status!, 'StatusCode')[0]?.attribute('nil', NS.xsi), 'true');
  }));

test('a reference property of an association cannot be filtered in WQL (go-wsman, seen on its host)', () =>
  withWire({}, async ({ ask }) => {
    const wql = "SELECT * FROM Msvm_SettingsDefineState WHERE ManagedElement = 'x'";
    assert.equal(faultOf(await ask(enumerate({ wql }))).code, 2150858778);
  }));

test('a selection gives the selected properties only (WQL, SELECT)', () =>
  withWire({}, async ({ ask }) => {
    const answer = await ask(
      enumerate({ wql: 'SELECT name, EnabledState FROM Msvm_ComputerSystem', optimized: true }),
    );
    assert.deepEqual(
      instancesIn(answer.root)[0]?.children.map((child) => child.local),
      ['EnabledState', 'Name'],
    );
  }));

test('another filter dialect is refused (WS-Enumeration 3.1)', () =>
  withWire({}, async ({ ask }) => {
    const filter = element(
      'w:Filter',
      { Dialect: 'http://schemas.dmtf.org/wbem/cql/1/dsp0202.pdf' },
      'SELECT',
    );
    const body = element('n:Enumerate', {}, filter);
    const fault = faultOf(await ask(request(ACTION.enumerate, body, {})));
    assert.deepEqual(fault, { subcode: 'n:FilterDialectRequestedUnavailable', code: 2150858777 });
  }));

test('EnumerateEPR gives references with all keys, EnumerateObjectAndEPR both (DSP0226 8.7)', () =>
  withWire({}, async ({ ask }) => {
    const references = await ask(enumerate({ uri: VMS, optimized: true, max: 9, mode: 'EnumerateEPR' }));
    assert.equal(all(references.root, 'EndpointReference').length, 3);
    assert.equal(instancesIn(references.root).length, 0);
    const selectors = all(all(references.root, 'EndpointReference')[1]!, 'Selector');
    assert.deepEqual(
      selectors.map((one) => [one.attribute('Name'), one.text]),
      Object.entries(VM_KEYS),
    );
    const both = await ask(enumerate({ uri: VMS, optimized: true, max: 9, mode: 'EnumerateObjectAndEPR' }));
    assert.deepEqual(
      all(both.root, 'Item')[0]?.children.map((child) => child.local),
      ['Msvm_ComputerSystem', 'EndpointReference'],
    );
  }));
