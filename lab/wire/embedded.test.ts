import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { recordingsFolder } from '../../test/requires.ts';
import type { LabClass, LabInstance } from '../cim.ts';
import { decodeEmbedded, encodeEmbedded } from './embedded.ts';
import { parseXml, type XmlElement } from './xml-reader.ts';

const cls: LabClass = {
  name: 'Msvm_Thing',
  superclasses: [],
  properties: {
    Flag: { type: 'boolean' },
    Small: { type: 'sint8' },
    Big: { type: 'uint64' },
    Name: { type: 'string' },
    Notes: { type: 'string', array: true },
    Sizes: { type: 'uint64', array: true },
    Delay: { type: 'datetime' },
    Inner: { type: 'embedded' },
    Parent: { type: 'string' },
  },
  methods: {},
};
const context = { classes: new Map([[cls.name, cls]]), hostName: 'HV1', namespace: 'root/virtualization/v2' };

test('an instance survives CIM-XML, numbers of 64 bit exact', () => {
  const properties = fc.record(
    {
      Flag: fc.boolean(),
      Small: fc.integer({ min: -128, max: 127 }),
      Big: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      Name: fc.string({ unit: fc.constantFrom('<', '&', '"', "'", ']]>', '仮', ' ', 'a') }),
      Notes: fc.array(fc.constantFrom('', 'x', 'a\nb')),
      Sizes: fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
      Delay: fc.integer({ min: 0, max: 1e9 }).map((intervalSeconds) => ({ intervalSeconds })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(properties, (one) => {
      const instance: LabInstance = { className: cls.name, properties: { ...one } };
      assert.deepEqual(decodeEmbedded(encodeEmbedded(instance, context)), instance);
    }),
  );
});

test('a null property is there without VALUE and PROPAGATED; paths and instances inside travel as strings', () => {
  const inner: LabInstance = { className: cls.name, properties: { Name: '<x>' } };
  const parent = { className: 'C', keys: { InstanceID: 'a\\b' } };
  const xml = encodeEmbedded({ className: cls.name, properties: { Inner: inner, Parent: parent } }, context);
  assert.match(xml, /<PROPERTY NAME="Big" PROPAGATED="true" TYPE="uint64"><\/PROPERTY>/);
  const read = decodeEmbedded(xml)!;
  assert.equal(read.properties['Parent'], String.raw`\\HV1\root\virtualization\v2:C.InstanceID="a\\b"`);
  assert.deepEqual(decodeEmbedded(read.properties['Inner'] as string), inner);
});

test('a duration that is not CIM text, or is sent as a string, stays text (datetime_write trait: 32768)', () => {
  const property = (type: string, value: string): string =>
    `<INSTANCE CLASSNAME="C"><PROPERTY NAME="D" TYPE="${type}"><VALUE>${value}</VALUE></PROPERTY></INSTANCE>`;
  assert.deepEqual(decodeEmbedded(property('datetime', '00000000000030.000000:000'))?.properties, {
    D: { intervalSeconds: 30 },
  });
  assert.deepEqual(decodeEmbedded(property('datetime', 'P0DT0H0M30S'))?.properties, { D: 'P0DT0H0M30S' });
  assert.equal(
    typeof decodeEmbedded(property('string', '00000000000030.000000:000'))?.properties['D'],
    'string',
  );
});

test('text that is no CIM-XML instance is not taken for one', () => {
  const property = (inner: string): string => `<INSTANCE CLASSNAME="C">${inner}</INSTANCE>`;
  const texts = [
    '',
    'instance of Msvm_X { Name = "x"; };',
    '<INSTANCE>',
    '<INSTANCE></INSTANCE>',
    '<CIM></CIM>',
    property('<PROPERTY TYPE="uint8"><VALUE>1</VALUE></PROPERTY>'),
    property('<PROPERTY NAME="A" TYPE="uint8"><VALUE>256</VALUE></PROPERTY>'),
    property('<PROPERTY NAME="A" TYPE="boolean"><VALUE>1</VALUE></PROPERTY>'),
    property('<OTHER NAME="A"></OTHER>'),
  ];
  for (const text of texts) assert.equal(decodeEmbedded(text), undefined, text);
});

const recordings = recordingsFolder();
if (recordings !== undefined) {
  test('the recorded GetVirtualHardDiskSettingData decodes: null without VALUE, empty string with one', () => {
    const file = join(recordings, 'go-wsman/unsigned/invoke_response_get_vhd.xml');
    const texts = textsIn(parseXml(readFileSync(file, 'utf8').replace(/^<\?xml.*?\?>\s*/, '')));
    const instance = decodeEmbedded(texts.find((text) => text.startsWith('<INSTANCE'))!)!;
    assert.equal(instance.className, 'Msvm_VirtualHardDiskSettingData');
    assert.equal(instance.properties['MaxInternalSize'], 10_737_418_240n);
    assert.equal(instance.properties['ParentPath'], '');
    assert.equal('DataAlignment' in instance.properties, false);
  });
}

function textsIn(element: XmlElement): string[] {
  return [element.text.trim(), ...element.children.flatMap(textsIn)];
}
