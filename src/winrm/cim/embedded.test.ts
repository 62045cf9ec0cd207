import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFault } from '../../base/index.ts';
import { cimClass, embedded, type CimType, type EmbeddedInstance, type EmbeddedValue } from '../schema.ts';
import { decodeEmbedded, encodeEmbedded } from './embedded.ts';

test('what a host writes is read: types, nulls without VALUE, PROPAGATED, empty strings, arrays', () => {
  const instance = decodeEmbedded(
    '<INSTANCE CLASSNAME="Msvm_X"><QUALIFIER NAME="q"/>' +
      '<PROPERTY NAME="Size" TYPE="uint64"><VALUE>18446744073709551615</VALUE></PROPERTY>' +
      '<PROPERTY NAME="None" PROPAGATED="true" TYPE="uint32"></PROPERTY>' +
      '<PROPERTY NAME="Empty" TYPE="string"><VALUE></VALUE></PROPERTY>' +
      '<PROPERTY NAME="Since" TYPE="datetime"><VALUE>20260101000000.000000+000</VALUE></PROPERTY>' +
      '<PROPERTY.ARRAY NAME="Host" TYPE="string"><VALUE.ARRAY><VALUE>C:\\a</VALUE><VALUE>b &amp; c</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>' +
      '<PROPERTY.ARRAY NAME="NoArray" TYPE="string"></PROPERTY.ARRAY></INSTANCE>',
  );
  assert.equal(instance.className, 'Msvm_X');
  assert.deepEqual(instance.properties, {
    Size: 18446744073709551615n,
    None: null,
    Empty: '',
    Since: { date: new Date('2026-01-01') },
    Host: ['C:\\a', 'b & c'],
    NoArray: null,
  });
});

const Settings = cimClass('Msvm_Settings', {
  properties: { Level: 'uint8', Parent: 'ref', Delay: 'datetime', Files: 'string[]', On: 'boolean' },
});

test('an instance made from a class carries the types of the class; null is left out', () => {
  const parent = { className: 'Msvm_Y', keys: { InstanceID: 'a\\b' } };
  assert.equal(
    encodeEmbedded(
      embedded(Settings, {
        Level: 1,
        Parent: parent,
        Delay: { intervalSeconds: 1800 },
        Files: ['a'],
        On: null,
      }),
    ),
    '<INSTANCE CLASSNAME="Msvm_Settings"><PROPERTY NAME="Level" TYPE="uint8"><VALUE>1</VALUE></PROPERTY>' +
      '<PROPERTY NAME="Parent" TYPE="string"><VALUE>Msvm_Y.InstanceID="a\\\\b"</VALUE></PROPERTY>' +
      '<PROPERTY NAME="Delay" TYPE="datetime"><VALUE>00000000003000.000000:000</VALUE></PROPERTY>' +
      '<PROPERTY.ARRAY NAME="Files" TYPE="string"><VALUE.ARRAY><VALUE>a</VALUE></VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>',
  );
});

test('a number without its CIM type is not guessed at', () => {
  assert.throws(() => encodeEmbedded({ className: 'X', properties: { Level: 1 } }), {
    code: 'WINRM_UNSENDABLE',
  });
});

const text = fc.string({ unit: 'grapheme' }).filter((value) => /^[\u0020-\uD7FF\uE000-\uFFFD]*$/.test(value));
const VALUES: Readonly<Partial<Record<CimType, fc.Arbitrary<EmbeddedValue>>>> = {
  string: fc.oneof(text, fc.constantFrom('&', '<INSTANCE>', ']]>', 'a\r\nb', ' ', '&amp;', '"\'')),
  boolean: fc.boolean(),
  uint16: fc.nat(65535),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  sint32: fc.integer(),
  datetime: fc.nat(10 ** 9).map((intervalSeconds) => ({ intervalSeconds })),
};
const typed = fc
  .constantFrom(...(Object.keys(VALUES) as CimType[]))
  .chain((type) =>
    fc
      .oneof(VALUES[type]!, fc.array(VALUES[type]!, { maxLength: 4 }))
      .map((value) => ({ type, value: value as EmbeddedValue })),
  );
const instances: fc.Arbitrary<EmbeddedInstance> = fc
  .dictionary(fc.stringMatching(/^[A-Z]\w{0,8}$/), typed, { noNullPrototype: true })
  .map((properties) => ({
    className: 'Msvm_Any',
    properties: Object.fromEntries(Object.entries(properties).map(([name, { value }]) => [name, value])),
    types: Object.fromEntries(Object.entries(properties).map(([name, { type }]) => [name, type])),
  }));

test('every instance survives writing and reading, types included', () => {
  fc.assert(
    fc.property(instances, (instance) =>
      assert.deepEqual(decodeEmbedded(encodeEmbedded(instance)), instance),
    ),
  );
});

test('damaged text gives a fault or an instance, never anything else', () => {
  fc.assert(
    fc.property(instances, fc.nat(), fc.constantFrom('', '<', '>', '&', '"', 'x'), (instance, at, patch) => {
      const whole = encodeEmbedded(instance);
      const cut = at % whole.length;
      try {
        decodeEmbedded(whole.slice(0, cut) + patch + whole.slice(cut + 1));
      } catch (error) {
        assert.ok(isFault(error), String(error));
      }
    }),
  );
});

test('text that is another thing gives WINRM_BAD_EMBEDDED', () => {
  const cases = [
    '',
    'hello',
    '<html/>',
    '<INSTANCE/>',
    '<!DOCTYPE x><INSTANCE CLASSNAME="X"/>',
    '<INSTANCE CLASSNAME="X"><PROPERTY NAME="A" TYPE="uint8"><VALUE>256</VALUE></PROPERTY></INSTANCE>',
  ];
  for (const each of cases) assert.throws(() => decodeEmbedded(each), { code: 'WINRM_BAD_EMBEDDED' }, each);
});
