import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LabInstance } from '../cim.ts';
import { FixtureProvider, OTHER_VM_ID, VM_ID } from './provider.fixture.ts';
import { ProviderView } from './provider-view.ts';
import { runQuery } from './query.ts';
import { SoapFault } from './soap-fault.ts';
import { like } from './wql-filter.ts';

const provider = new FixtureProvider();
const VMS = 'SELECT * FROM Msvm_ComputerSystem';

async function run(text: string): Promise<readonly LabInstance[]> {
  const view = new ProviderView(provider, { user: 'x', filtered: false });
  return (await runQuery(text, view)).instances;
}

async function names(where: string): Promise<unknown[]> {
  return (await run(`${VMS} WHERE ${where}`)).map((one) => one.properties['Name']);
}

async function refused(text: string): Promise<void> {
  await assert.rejects(
    run(text),
    (error) => error instanceof SoapFault && error.message.startsWith('cannotProcess'),
    text,
  );
}

test('comparisons, AND, OR, NOT and parentheses select as written; key words and names in any case', async () => {
  assert.deepEqual(await names(`name = '${VM_ID.toLowerCase()}'`), [VM_ID]);
  assert.deepEqual(await names("Name <> 'HV1' and not elementname LIKE 'web%'"), [OTHER_VM_ID]);
  assert.deepEqual(await names('OnTimeInMilliseconds > 5833087302 AND EnabledState = "2"'), [
    VM_ID,
    OTHER_VM_ID,
  ]);
  assert.deepEqual(await names("(Name='HV1' OR Name='x') AND EnabledState<3"), ['HV1']);
  assert.deepEqual(await names("3 >= EnabledState AND 'HV1' = Name"), ['HV1']);
  assert.deepEqual(await names("Name='x' OR Name='HV1' AND EnabledState=3"), []);
});

test('NULL is found by IS NULL only, and a comparison with a null property is never fulfilled', async () => {
  assert.deepEqual(await names('OnTimeInMilliseconds IS NULL'), ['HV1']);
  assert.deepEqual(await names('InstallDate IS NOT NULL'), [OTHER_VM_ID]);
  assert.deepEqual(await names('OnTimeInMilliseconds <> 5'), [VM_ID, OTHER_VM_ID]);
});

test('datetimes are compared by value with CIM text, ISA and __CLASS with classes', async () => {
  assert.deepEqual(await names("TimeOfLastStateChange < '20260729141100.020000+000' AND Name = 'HV1'"), [
    'HV1',
  ]);
  assert.deepEqual(await names("TimeOfLastStateChange < '20260729141100.019000+000'"), []);
  assert.equal((await names('__THIS ISA "CIM_ComputerSystem"')).length, 3);
  assert.equal((await names("__CLASS = 'msvm_computersystem'")).length, 3);
});

test('any text can be asked for when backslashes and quotes are escaped with a backslash', async () => {
  const text = fc.string({
    unit: fc.constantFrom('\\', "'", '"', '%', '_', '[', 'a', ' ', '仮'),
    minLength: 1,
  });
  await fc.assert(
    fc.asyncProperty(text, fc.constantFrom("'", '"'), async (name, quote) => {
      const literal = quote + name.replace(/[\\'"]/g, '\\$&') + quote;
      provider.vms[1] = {
        ...provider.vms[1]!,
        properties: { ...provider.vms[1]!.properties, ElementName: name },
      };
      assert.deepEqual(await names(`ElementName = ${literal} AND Name <> 'HV1'`), [VM_ID]);
    }),
  );
});

test('doubled quotes and single backslashes are refused: WQL knows neither', async () => {
  await refused(`${VMS} WHERE ElementName = 'O''Neil'`);
  await refused(String.raw`${VMS} WHERE ElementName = 'C:\temp'`);
});

test('a selection of properties is kept, an unknown one refused', async () => {
  const view = new ProviderView(provider, { user: 'x', filtered: false });
  const { only } = await runQuery('SELECT Name, elementName FROM Msvm_ComputerSystem', view);
  assert.deepEqual(only, new Set(['name', 'elementname']));
  await refused('SELECT Nome FROM Msvm_ComputerSystem');
});

test('a superclass finds the instances of its subclasses', async () => {
  const classes = (await run('SELECT * FROM CIM_ManagedElement')).map((one) => one.className);
  assert.deepEqual([...new Set(classes)], ['Msvm_ComputerSystem', 'Msvm_VirtualSystemSettingData']);
});

test('ASSOCIATORS OF and REFERENCES OF walk from either end, by class and role', async () => {
  const vm = `{Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='${VM_ID}'}`;
  const settings = `{\\\\HV1\\root\\virtualization\\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:${VM_ID}"}`;
  const found = async (query: string): Promise<string[]> => (await run(query)).map((one) => one.className);
  assert.deepEqual(await found(`ASSOCIATORS OF ${vm}`), ['Msvm_VirtualSystemSettingData']);
  const restricted = 'AssocClass = Msvm_SettingsDefineState ResultClass=Msvm_VirtualSystemSettingData';
  assert.deepEqual(await found(`associators of ${vm} where ${restricted}`), [
    'Msvm_VirtualSystemSettingData',
  ]);
  assert.deepEqual(await found(`ASSOCIATORS OF ${vm} WHERE ResultClass=CIM_SettingData`), [
    'Msvm_VirtualSystemSettingData',
  ]);
  assert.deepEqual(await found(`ASSOCIATORS OF ${settings} WHERE ResultRole=ManagedElement`), [
    'Msvm_ComputerSystem',
  ]);
  assert.deepEqual(await found(`ASSOCIATORS OF ${vm} WHERE Role=SettingData`), []);
  assert.deepEqual(await found(`ASSOCIATORS OF ${vm} WHERE ResultClass=Msvm_ComputerSystem`), []);
  assert.deepEqual(await found(`REFERENCES OF ${vm}`), ['Msvm_SettingsDefineState']);
  assert.deepEqual(
    await found(`REFERENCES OF ${settings} WHERE ResultClass=CIM_SettingsDefineState Role=SettingData`),
    ['Msvm_SettingsDefineState'],
  );
});

test('what the real host refuses is refused: unknown classes, references and arrays in a filter, absent objects', async () => {
  await refused('SELECT * FROM Msvm_Nothing');
  await refused("SELECT * FROM Msvm_SettingsDefineState WHERE ManagedElement = 'x'");
  await refused("SELECT * FROM Msvm_VirtualSystemSettingData WHERE Notes = 'one'");
  await refused(`${VMS} WHERE Nome = 'x'`);
  await refused("ASSOCIATORS OF {Msvm_ComputerSystem.Name='gone'}");
  await refused("ASSOCIATORS OF {Msvm_ComputerSystem.Name='HV1'} WHERE AssocClass=Nothing");
});

test('broken and hostile queries are refused, quickly', async () => {
  const broken = [
    '',
    'SELECT',
    `${VMS} WHERE`,
    `${VMS} WHERE Name`,
    `${VMS} WHERE Name =`,
    `${VMS} WHERE Name = 'x`,
  ];
  const more = [
    `${VMS} x`,
    'DELETE FROM X',
    'SELECT * FROM',
    `${VMS} WHERE (Name = 'x'`,
    'ASSOCIATORS OF {x}',
    `${VMS};`,
  ];
  const hostile = [
    `${VMS} WHERE ${'('.repeat(5000)}`,
    `${VMS} WHERE ${'NOT '.repeat(5000)}`,
    'x'.repeat(100_000),
  ];
  for (const text of [...broken, ...more, ...hostile]) await refused(text);
});

test('LIKE agrees with a simple model, and its worst pattern ends', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
  const pattern = fc.array(fc.constantFrom('%', '_', 'a', 'b', '[ab]', '[^ab]', '[a-b]'), { maxLength: 8 });
  fc.assert(
    fc.property(text, pattern, (value, parts) => {
      const model = parts.map((part) => (part === '%' ? '.*' : part === '_' ? '.' : part)).join('');
      assert.equal(like(value, parts.join('')), new RegExp(`^${model}$`, 's').test(value));
    }),
  );
  assert.equal(like('a'.repeat(10_000), `${'%a'.repeat(200)}b`), false);
});
