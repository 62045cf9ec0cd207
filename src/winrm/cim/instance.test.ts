import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cimClass } from '../schema.ts';
import { parseXml } from '../soap/xml.ts';
import { decodeInstance } from './instance.ts';

const All = cimClass('C', {
  properties: {
    Id: 'string key',
    Scalar: 'uint32',
    List: 'uint16[]',
    Words: 'string[]',
    Since: 'datetime',
    Link: 'ref',
    Inner: 'embedded',
  },
});
const decode = (inner: string): Record<string, unknown> =>
  decodeInstance(
    All,
    parseXml(
      `<p:C xmlns:p="urn:c" xmlns:q="urn:other" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><p:Id>i</p:Id>${inner}</p:C>`,
    ),
  );

test('null scalars are nil or absent, null arrays absent or one nil', () => {
  const none = { Id: 'i', Scalar: null, List: [], Words: [], Since: null, Link: null, Inner: null };
  assert.deepEqual(decode(''), none);
  assert.deepEqual(decode('<p:Scalar xsi:nil="true"/><p:List xsi:nil="true"/><p:Inner xsi:nil="1"/>'), none);
});

test('an array of one is an array, and the order of many is kept', () => {
  assert.deepEqual(decode('<p:List>7</p:List>')['List'], [7]);
  assert.deepEqual(decode('<p:List>3</p:List><p:Words>x</p:Words><p:List>1</p:List>')['List'], [3, 1]);
});

test('a nil among strings keeps its place; among numbers it is refused', () => {
  assert.deepEqual(decode('<p:Words>a</p:Words><p:Words xsi:nil="true"/><p:Words>c</p:Words>')['Words'], [
    'a',
    '',
    'c',
  ]);
  assert.throws(() => decode('<p:List>1</p:List><p:List xsi:nil="true"/>'), {
    code: 'WINRM_PROTOCOL_BROKEN',
  });
});

test('elements of another namespace and unknown properties are passed over', () => {
  assert.equal(decode('<q:Scalar>1</q:Scalar><p:Newer>2</p:Newer>')['Scalar'], null);
});

test('a moment is read with and without its cim: child', () => {
  const date = new Date('2026-01-02T03:04:05Z');
  const cim = 'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"';
  assert.deepEqual(
    decode(`<p:Since ${cim}><cim:Datetime>2026-01-02T03:04:05Z</cim:Datetime></p:Since>`)['Since'],
    { date },
  );
  assert.deepEqual(decode('<p:Since>2026-01-02T03:04:05Z</p:Since>')['Since'], { date });
});

test('a reference may also come as the text of its path', () => {
  assert.deepEqual(decode('<p:Link>\\\\H\\root\\cimv2:X.A="1"</p:Link>')['Link'], {
    className: 'X',
    keys: { A: '1' },
  });
});

test('an embedded instance is read from escaped text and from CDATA', () => {
  const instance =
    '<INSTANCE CLASSNAME="E"><PROPERTY NAME="A" TYPE="string"><VALUE>1</VALUE></PROPERTY></INSTANCE>';
  const expected = { className: 'E', properties: { A: '1' }, types: { A: 'string' } };
  assert.deepEqual(decode(`<p:Inner><![CDATA[${instance}]]></p:Inner>`)['Inner'], expected);
  assert.deepEqual(decode(`<p:Inner>${instance.replaceAll('<', '&lt;')}</p:Inner>`)['Inner'], expected);
});

test('a value that is not of its type names the property', () => {
  assert.throws(() => decode('<p:Scalar>many</p:Scalar>'), {
    code: 'WINRM_PROTOCOL_BROKEN',
    message: /Scalar/,
  });
});
