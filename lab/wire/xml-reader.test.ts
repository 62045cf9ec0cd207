import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { XmlError, parseXml } from './xml-reader.ts';
import { element, escapeXml } from './xml-writer.ts';

test('elements and attributes are known by namespace, whatever the prefix', () => {
  const root = parseXml('<x:a xmlns:x="urn:1" xmlns:y="urn:1" y:b="2" b="3"><b xmlns="urn:2">t</b></x:a>');
  assert.ok(root.is('urn:1', 'a'));
  assert.deepEqual([root.attribute('b', 'urn:1'), root.attribute('b')], ['2', '3']);
  assert.equal(root.child('urn:2', 'b')?.text, 't');
});

test('text and attributes survive writing and reading', () => {
  const text = fc
    .string({ unit: 'grapheme' })
    .filter((one) => !/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(one));
  fc.assert(
    fc.property(text, (value) => {
      assert.equal(parseXml(element('a', {}, escapeXml(value))).text, value);
    }),
  );
});

test('characters XML cannot carry are refused, not written', () => {
  for (const bad of ['\u0000', '\u001b', '\ud800', '\uffff'])
    assert.throws(() => escapeXml(`a${bad}`), TypeError);
});

test('a document type, deep nesting, too many elements and broken XML are refused', () => {
  const hostile = [
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a>'.repeat(1000),
    `<a>${'<b/>'.repeat(100_001)}</a>`,
    '<a>&unknown;</a>',
    '<p:a/>',
    '<a><b></a></b>',
    '<a/><a/>',
    'text',
    '',
  ];
  for (const text of hostile) assert.throws(() => parseXml(text), XmlError, text.slice(0, 40));
});
