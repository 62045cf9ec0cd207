import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import { instanceXml, outputXml } from './instance.ts';
import { FixtureProvider } from './provider.fixture.ts';
import { envelope } from './envelope.ts';
import { shapeErrors } from './shape.fixture.ts';
import { REAL_HOST } from './traits.ts';

const provider = new FixtureProvider();

function answer(body: string): string {
  return envelope('enumeration', { language: 'ja-JP', action: 'x', relatesTo: 'uuid:1', body });
}

test('every instance and method answer of the lab has the shape of the recordings', async () => {
  for (const cls of provider.classes.values()) {
    for (const instance of await provider.instances(cls.name)) {
      assert.deepEqual(shapeErrors(answer(instanceXml(instance, provider))), []);
    }
  }
});

test('the shape checker finds each thing it is for', () => {
  const good = instanceXml(provider.vms[1]!, provider);
  const spoiled: readonly [string, string][] = [
    ['<p:EnabledState>2</p:EnabledState>', '<p:ZZ>2</p:ZZ>'],
    ['<p:Caption xsi:nil="true"/>', '<p:Caption xsi:nil="true">x</p:Caption>'],
    ['P0DT0H0M1.00417S', 'P0DT0H0M1.004170S'],
    ['14:11:00.019Z', '14:11:00.000Z'],
    ['p:Msvm_ComputerSystem_Type', 'p:Other_Type'],
  ];
  assert.deepEqual(shapeErrors(answer(good)), []);
  for (const [from, to] of spoiled) {
    assert.ok(good.includes(from), from);
    assert.notDeepEqual(shapeErrors(answer(good.replace(from, to))), [], to);
  }
  assert.notDeepEqual(shapeErrors(`<?xml version="1.0"?>${answer(good)}`), []);
});

test('a value that is not of its declared type, or has no declaration, is a fault of the model and not sent', () => {
  const [vm] = provider.vms;
  const spoiled = [
    { EnabledState: 65_536 },
    { EnabledState: 'on' },
    { ElementName: 5 },
    { Unknown: 1 },
    { Cancellable: 1 },
  ];
  for (const change of spoiled) {
    const instance = { ...vm!, properties: { ...vm!.properties, ...change } };
    assert.throws(() => instanceXml(instance, provider), TypeError, JSON.stringify(change));
  }
  const cls = provider.classes.get('Msvm_ImageManagementService')!;
  const result = { returnValue: 0, out: { Nothing: 1 } };
  assert.throws(() => outputXml(cls, 'Echo', result, provider, REAL_HOST), TypeError);
});

const recordings = recordingsFolder();
if (recordings !== undefined) {
  const files = globSync('go-wsman/*.xml', { cwd: recordings });

  test('the recordings are unchanged: each matches the digest its recorder wrote into it', () => {
    for (const file of files) {
      const text: string = readFileSync(join(recordings, file), 'utf8');
      const body = text.slice(text.indexOf('-->\n') + 4);
      const digest = createHash('sha256').update(body).digest('hex');
      assert.equal(digest, /sha256: ([0-9a-f]{64})/.exec(text)?.[1], file);
    }
    assert.ok(files.length >= 20);
  });

  test('every recorded answer of a real host has the shape the lab is held to', () => {
    for (const file of files) {
      const text: string = readFileSync(join(recordings, file), 'utf8');
      assert.deepEqual(shapeErrors(text.slice(text.indexOf('-->\n') + 4)), [], file);
    }
  });
}
