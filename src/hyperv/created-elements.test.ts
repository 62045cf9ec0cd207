import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import { decodeInstance, parseXml, type CimSession, type XmlElement } from '../winrm/index.ts';
import { Msvm_AffectedJobElement } from './classes/job.ts';
import { createdBy } from './created-elements.ts';
import type { Host } from './host.ts';
import { FakeClock } from './testing/clock.fixture.ts';

const SETTINGS = 'Msvm_VirtualSystemSettingData';
const job = (id: string) => ({ className: 'Msvm_ConcreteJob', keys: { InstanceID: id } });
const settings = (id: string) => ({ className: SETTINGS, keys: { InstanceID: id } });
type Row = Parameters<typeof rowsOf>[0][number];

function rowsOf(
  rows: readonly {
    AffectedElement: { className: string; keys: Record<string, string> } | null;
    AffectingElement: { className: string; keys: Record<string, string> } | null;
    ElementEffects: readonly number[];
  }[],
): Host {
  const session = {
    async *enumerate() {
      yield* rows;
    },
  } as unknown as CimSession;
  return { session, clock: new FakeClock(), pollMs: 1 };
}

test('only what our job created counts: not what it touched, not other jobs, not other classes', async () => {
  const rows: Row[] = [
    { AffectingElement: job('other'), AffectedElement: settings('theirs'), ElementEffects: [5] },
    { AffectingElement: job('OURS'), AffectedElement: settings('touched'), ElementEffects: [0, 2] },
    {
      AffectingElement: job('OURS'),
      AffectedElement: { ...settings('x'), className: 'Other' },
      ElementEffects: [5],
    },
    { AffectingElement: job('OURS'), AffectedElement: null, ElementEffects: [5] },
    { AffectingElement: null, AffectedElement: settings('nobody'), ElementEffects: [5] },
    { AffectingElement: job('ours'), AffectedElement: settings('made'), ElementEffects: [5] },
  ];
  assert.deepEqual(await createdBy(rowsOf(rows), job('Ours'), SETTINGS, {}), ['made']);
});

const folder = recordingsFolder();
if (folder) {
  test('the rows a real host gave after CreateSnapshot lead to the one checkpoint', async () => {
    const names = ['other_job_1', 'other_job_2', 'same_job_effect0', 'created'];
    const rows = names.map((name) => {
      const file = join(folder, 'go-wsman', `recorded_affectedjobelement_pull_${name}.xml`);
      const envelope = parseXml(readFileSync(file, 'utf8').replace(/^<!--[\s\S]*?-->\s*/, ''));
      return decodeInstance(Msvm_AffectedJobElement, find(envelope, 'Msvm_AffectedJobElement')!);
    });
    const created = rows[3]!;
    const ids = await createdBy(rowsOf(rows as Row[]), created.AffectingElement!, SETTINGS, {});
    assert.deepEqual(ids, [created.AffectedElement!.keys['InstanceID']]);
    assert.match(ids[0]!, /^Microsoft:/);
  });
}

function find(element: XmlElement, name: string): XmlElement | undefined {
  if (element.name === name) return element;
  for (const child of element.children) {
    const found = find(child, name);
    if (found) return found;
  }
  return undefined;
}
