/**
 * Answers recorded from real Windows hosts, through the real client. They lie beside the project (see test/requires.ts):
 * where they are missing these tests do not exist.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import { openWinrm, type WinrmSession } from './client.ts';
import { decodeInstance, decodeOutput } from './cim/instance.ts';
import { cimClass, type CimClass } from './schema.ts';
import { readPage } from './soap/enumeration.ts';
import { readEnvelope } from './soap/envelope.ts';
import { ACTION } from './soap/names.ts';
import { faultFrom } from './soap/soap-fault.ts';
import { parseXml } from './soap/xml.ts';
import { allOf } from './testing/classes.fixture.ts';
import { startSealedServer, type Heard } from './testing/sealed-server.fixture.ts';

const ComputerSystem = cimClass('Msvm_ComputerSystem', {
  properties: {
    CreationClassName: 'string key',
    Name: 'string key',
    ElementName: 'string',
    EnabledState: 'uint16',
    InstallDate: 'datetime',
    LastReplicationTime: 'datetime',
    OnTimeInMilliseconds: 'uint64',
    OperationalStatus: 'uint16[]',
    ProcessID: 'uint32',
    StatusDescriptions: 'string[]',
    AvailableRequestedStates: 'uint16[]',
  },
});
const StorageJob = cimClass('Msvm_StorageJob', {
  properties: {
    InstanceID: 'string key',
    JobState: 'uint16',
    ErrorCode: 'uint16',
    ErrorDescription: 'string',
    ElapsedTime: 'datetime',
    InstallDate: 'datetime',
    TimeBeforeRemoval: 'datetime',
    OperationalStatus: 'uint16[]',
    StatusDescriptions: 'string[]',
    DeleteOnCompletion: 'boolean',
    Cancellable: 'boolean',
  },
});
const AffectedJobElement = cimClass('Msvm_AffectedJobElement', {
  properties: { AffectedElement: 'ref', AffectingElement: 'ref', ElementEffects: 'uint16[]' },
});
const ImageService = cimClass('Msvm_ImageManagementService', {
  properties: {},
  methods: {
    GetVirtualHardDiskSettingData: { input: { Path: 'string' }, output: { SettingData: 'embedded' } },
  },
});

const folder = recordingsFolder();

function proveRecordings(root: string): void {
  const read = (name: string): string => withoutMark(readFileSync(join(root, name), 'utf8'));

  for (const name of globSync('go-wsman/*.xml', { cwd: root })) {
    test(`${name} has the bytes that were recorded`, () => {
      const whole = readFileSync(join(root, name), 'utf8');
      const stated = /sha256: ([0-9a-f]{64})/.exec(whole)![1];
      assert.equal(createHash('sha256').update(withoutMark(whole)).digest('hex'), stated);
    });
  }

  for (const name of globSync('**/*.xml', { cwd: root })) {
    test(`${name} is read as an envelope`, () => {
      const { content, fault } = readEnvelope(read(name));
      const isFault = /fault|wmi_error/.test(name) && !name.endsWith('.request.xml');
      assert.equal(Boolean(fault), isFault);
      // Of all recorded messages only the Get requests have an empty body.
      const bodyless = /get_config.*request|fault_(invalid_selectors|invalid_header).*request/.test(name);
      assert.equal(content === undefined, isFault || bodyless);
    });
  }

  provesFaults(read);
  provesSequences(read);
  provesShapes(read);
}

/** The recorder's comment before the body; the sha256 in it covers what follows. */
function withoutMark(text: string): string {
  return text.replace(/^<!--[^]*?-->\n/, '');
}

const FAULTS: Readonly<Record<string, string>> = {
  'WinRb-WinRM/soap_fault_v1.xml': 'WINRM_BAD_FILTER',
  'WinRb-WinRM/soap_fault_v2.xml': 'WINRM_BAD_FILTER',
  'WinRb-WinRM/wmi_error_v2.xml': 'WINRM_QUOTA_EXCEEDED',
  'masterzen-winrm/fault_timedout.xml': 'WINRM_TIMED_OUT',
  'omi/fault_internalerror_pwrshplugin.xml': 'WINRM_PROVIDER_FAILED',
  'omi/fault_timedout.xml': 'WINRM_TIMED_OUT',
  'omi/fault_wmi_get_notfound_2012r2.xml': 'WINRM_NOT_FOUND',
  'pypsrp/fault_bad_command_id.response.xml': 'WINRM_SELECTORS_INVALID',
  'pypsrp/fault_file_not_found_2008r2.response.xml': 'WINRM_PROVIDER_FAILED',
  'pypsrp/fault_invalid_header_timeout.response.xml': 'WINRM_SCHEMA_INVALID',
  'pypsrp/fault_invalid_parameter.response.xml': 'WINRM_PARAMETER_INVALID',
  'pypsrp/fault_invalid_selectors.response.xml': 'WINRM_SELECTORS_INVALID',
  'pypsrp/fault_schema_validation_2008.xml': 'WINRM_SCHEMA_INVALID',
  'pypsrp/fault_timedout.response.xml': 'WINRM_TIMED_OUT',
  'pywinrm/fault_timedout_2022.xml': 'WINRM_TIMED_OUT',
};

function provesFaults(read: (name: string) => string): void {
  const context = { host: 'h', user: 'u', resource: 'r', seconds: 60, limitBytes: 512_000 };
  test('every recorded fault is in the list below', () => {
    const names = globSync('**/{*fault*,wmi_error*}.xml', { cwd: folder! }).filter(
      (name) => !name.includes('.request.'),
    );
    assert.deepEqual(names.sort(), Object.keys(FAULTS).sort());
  });
  for (const [name, code] of Object.entries(FAULTS)) {
    test(`${name} is ${code}`, () => {
      assert.equal(faultFrom(readEnvelope(read(name)).fault!, context).code, code);
    });
  }
}

/** A host that gives the recorded answers one after the other, each related to the request it now answers. */
async function replay(
  answers: readonly string[],
  run: (session: WinrmSession, heard: Heard[]) => Promise<void>,
): Promise<void> {
  const left = [...answers];
  await using server = await startSealedServer({
    answer: (heard) => left.shift()!.replace(/(<a:RelatesTo>)[^<]*/, `$1${heard.messageId}`),
  });
  await using session = await openWinrm(server.options);
  await run(session, server.heard);
  assert.deepEqual(left, [], 'every recorded answer was asked for');
}

function provesSequences(read: (name: string) => string): void {
  const sequence = (...names: string[]): string[] =>
    names.map((name) => read(`go-wsman/recorded_${name}.xml`));

  test('the recorded enumeration of Msvm_ComputerSystem: the host and three machines, one a Pull', async () => {
    const names = [
      'computersystem_enumerate',
      ...[2, 3, 4, 5].map((number) => `computersystem_pull_${number}`),
    ];
    await replay(sequence(...names), async (session, heard) => {
      const [host, ...machines] = await allOf(session.enumerate(ComputerSystem));
      assert.equal(host!.InstallDate, null);
      assert.equal(host!.OnTimeInMilliseconds, null);
      assert.deepEqual(host!.AvailableRequestedStates, []);
      assert.deepEqual(
        machines.map((machine) => machine.EnabledState),
        [2, 2, 2],
      );
      assert.ok(machines.some((machine) => machine.OnTimeInMilliseconds! > 2n ** 32n));
      assert.ok(
        machines.every((machine) => machine.LastReplicationTime === null),
        '1601 is never',
      );
      assert.deepEqual(machines.at(-1)!.InstallDate, { date: new Date('2025-12-17T09:55:22.702Z') });
      assert.deepEqual(machines.at(-1)!.StatusDescriptions, ['正常稼働中']);
      assert.deepEqual(
        heard.map(({ action }) => action),
        [ACTION.enumerate, ...Array<string>(4).fill(ACTION.pull)],
      );
    });
  });

  test('the second recorded session: five Pulls, the machine that was never started among them', async () => {
    const names = ['host', 'vm_running_a', 'vm_running_b', 'vm_off', 'vm_running_c_eos'];
    await replay(
      sequence('computersystem_enumerate', ...names.map((name) => `computersystem_pull_${name}`)),
      async (session) => {
        const systems = await allOf(session.enumerate(ComputerSystem));
        assert.deepEqual(
          systems.map((system) => system.EnabledState),
          [2, 2, 2, 3, 2],
        );
        assert.equal(systems[3]!.ProcessID, null);
        assert.equal(systems[3]!.OnTimeInMilliseconds, 0n);
      },
    );
  });

  test('the recorded Msvm_AffectedJobElement: the created checkpoint is the row with effect 5 of our job', async () => {
    const rows = ['other_job_1', 'other_job_2', 'same_job_effect0', 'created'];
    await replay(
      sequence('affectedjobelement_enumerate', ...rows.map((row) => `affectedjobelement_pull_${row}`)),
      async (session) => {
        const elements = await allOf(session.enumerate(AffectedJobElement));
        assert.equal(elements.length, 4);
        const created = elements.filter((element) => element.ElementEffects.includes(5));
        assert.deepEqual(created.at(-1), {
          AffectedElement: {
            className: 'Msvm_VirtualSystemSettingData',
            keys: { InstanceID: 'Microsoft:00000000-0000-4000-8000-000000000083' },
          },
          AffectingElement: {
            className: 'Msvm_ConcreteJob',
            keys: { InstanceID: '00000000-0000-4000-8000-000000000066' },
          },
          ElementEffects: [5],
        });
        assert.deepEqual(Object.keys(elements[0]!.AffectedElement!.keys), ['CreationClassName', 'Name']);
      },
    );
  });

  test('the recorded Msvm_StorageJob: running, then done', async () => {
    const files = ['running', 'completed'].map((state) =>
      read(`go-wsman/get_response_storagejob_${state}.xml`),
    );
    await replay(files, async (session) => {
      const keys = { InstanceID: '00000000-0000-4000-8000-000000000003' };
      const running = await session.get(StorageJob, keys);
      assert.deepEqual([running.JobState, running.OperationalStatus], [4, [2]]);
      const completed = await session.get(StorageJob, keys);
      assert.deepEqual([completed.JobState, completed.OperationalStatus], [7, [17, 2]]);
      assert.equal(completed.StatusDescriptions.length, 2);
      assert.deepEqual(completed.ElapsedTime, { intervalSeconds: 1.00417 });
      assert.deepEqual(completed.TimeBeforeRemoval, { intervalSeconds: 300 });
      assert.deepEqual(
        [completed.ErrorCode, completed.ErrorDescription, completed.InstallDate],
        [0, '', null],
      );
      assert.deepEqual([completed.DeleteOnCompletion, completed.Cancellable], [false, true]);
    });
  });
}

/** A schema of every element of an instance as a string, or as an array where it is repeated. */
function decodesAsStrings(read: (name: string) => string, name: string): Record<string, unknown> {
  const { items } = readPage(readEnvelope(read(name)).content, 'uuid:previous');
  const names = items[0]!.children.map((child) => child.name);
  const specs = names.map((each) => [
    each,
    names.filter((other) => other === each).length > 1 ? 'string[]' : 'string',
  ]);
  const cls = cimClass(items[0]!.name, { properties: Object.fromEntries(specs) as Record<string, 'string'> });
  return decodeInstance(cls as CimClass, items[0]!);
}

function provesShapes(read: (name: string) => string): void {
  for (const name of globSync('go-wsman/{,unsigned/}*pull_*.xml', { cwd: folder! })) {
    test(`${name}: one instance, each property of it read`, () => {
      const instance = decodesAsStrings(read, name);
      assert.ok(Object.keys(instance).length > 2);
      assert.ok(Object.values(instance).some((value) => value !== null));
    });
  }

  test('a real GetVirtualHardDiskSettingData answer: the instance inside the text', () => {
    const { content } = readEnvelope(read('go-wsman/unsigned/invoke_response_get_vhd.xml'));
    const output = decodeOutput(ImageService, 'GetVirtualHardDiskSettingData', content!);
    assert.equal(output.returnValue, 0);
    assert.deepEqual(output.SettingData!.properties, {
      BlockSize: 33_554_432,
      DataAlignment: null,
      ElementName: 'test.vhdx',
      Format: 3,
      LogicalSectorSize: 512,
      MaxInternalSize: 10_737_418_240n,
      ParentPath: '',
      Path: 'D:\\VMs\\test.vhdx',
      PhysicalSectorSize: 4096,
      Type: 3,
    });
  });

  test('an optimised Enumerate answer of Windows: items in the WS-Management namespace, an empty context, the end', () => {
    const page = readPage(readEnvelope(read('pypsrp/enumerate_optimized_items.response.xml')).content);
    assert.deepEqual([page.items.length, page.context], [2, undefined]);
    const empty = readPage(readEnvelope(read('pypsrp/enumerate_optimized_empty.response.xml')).content);
    assert.deepEqual([empty.items.length, empty.context], [0, undefined]);
  });

  test('our requests carry the headers of requests Windows was recorded to accept', async () => {
    const accepted = parseXml(read('pypsrp/enumerate_optimized_items.request.xml'));
    const ours: string[] = [];
    await using server = await startSealedServer({
      answer: (heard) => {
        ours.push(heard.xml);
        return read('pypsrp/enumerate_optimized_empty.response.xml').replace(
          /(<a:RelatesTo>)[^<]*/,
          `$1${heard.messageId}`,
        );
      },
    });
    await using session = await openWinrm(server.options);
    assert.deepEqual(await allOf(session.enumerate(ComputerSystem)), []);
    const names = (xml: ReturnType<typeof parseXml>): string[] =>
      xml.children[0]!.children.map((header) => `${header.uri} ${header.name}`).filter(
        (name) => !name.endsWith('SessionId'),
      );
    assert.deepEqual(names(parseXml(ours[0]!)).sort(), names(accepted).sort());
    const body = (xml: ReturnType<typeof parseXml>): string[] =>
      xml.children[1]!.children[0]!.children.map((each) => `${each.uri} ${each.name}`);
    assert.deepEqual(body(parseXml(ours[0]!)), body(accepted));
  });
}

if (folder) proveRecordings(folder);
