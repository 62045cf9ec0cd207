import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LabMethodResult } from '../cim.ts';
import { Endpoint, type EndpointStats } from './endpoint.ts';
import { FixtureProvider, VM_ID } from './provider.fixture.ts';
import { enumerate, get, invoke, pull, release, uriOf } from './requests.fixture.ts';
import { REAL_HOST } from './traits.ts';
import { parseXml } from './xml-reader.ts';

/** Answers every call: the parameters were read, which is what is under test. */
class SilentProvider extends FixtureProvider {
  override async invoke(): Promise<LabMethodResult> {
    return { returnValue: 0, out: {} };
  }
}

const SERVICE = 'Msvm_VirtualSystemManagementService';
const SEEDS = [
  enumerate({ uri: uriOf('Msvm_ComputerSystem'), optimized: true, max: 5 }),
  enumerate({
    wql: `SELECT * FROM Msvm_ComputerSystem WHERE Name LIKE '%${VM_ID}' AND NOT (EnabledState > 2)`,
  }),
  enumerate({
    wql: `ASSOCIATORS OF {Msvm_ComputerSystem.Name='${VM_ID}'} WHERE ResultClass=CIM_SettingData`,
  }),
  get('Msvm_ComputerSystem', { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID }),
  pull('uuid:1', { max: 3 }),
  release('uuid:1'),
  invoke(
    SERVICE,
    'Echo',
    '<p:Number>1</p:Number><p:Numbers>1</p:Numbers><p:Settings>&lt;INSTANCE CLASSNAME="C"&gt;&lt;/INSTANCE&gt;</p:Settings>',
  ),
];
const SPICE = [
  '<',
  '>',
  '"',
  "'",
  '\\',
  '&',
  '&lt;',
  ']]>',
  '<![CDATA[',
  '{',
  '}',
  '*',
  '-',
  '9'.repeat(30),
  '\u0000',
  '%',
  ' ',
  '',
];

interface Edit {
  readonly at: number;
  readonly length: number;
  readonly insert: string;
}

const edits = fc.array(
  fc.record({
    at: fc.nat(3000),
    length: fc.nat(20),
    insert: fc.oneof(fc.constantFrom(...SPICE), fc.string()),
  }),
  { minLength: 1, maxLength: 4 },
);

function edited(text: string, changes: readonly Edit[]): string {
  return changes.reduce((now, { at, length, insert }) => {
    const start = at % now.length;
    return now.slice(0, start) + insert + now.slice(start + length);
  }, text);
}

test('whatever an envelope holds, it is answered with well-formed XML and never with a failure of the lab', async () => {
  const stats: EndpointStats = { requests: {}, faults: 0, internalErrors: 0 };
  const endpoint = new Endpoint(new SilentProvider(), REAL_HOST, [], stats);
  const { signal } = new AbortController();
  const answered = async (text: string): Promise<void> => {
    const outcome = await endpoint.answer(text, { user: 'x', filtered: false }, 'hv1', signal);
    assert.ok(outcome.kind === 'answer');
    parseXml(outcome.xml);
    assert.equal(stats.internalErrors, 0, `${stats.lastInternalError}\n${text}`);
  };
  for (const seed of SEEDS) await answered(seed);
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...SEEDS), edits, (seed, changes) => answered(edited(seed, changes))),
    { numRuns: 2000 },
  );
  endpoint.close();
});
