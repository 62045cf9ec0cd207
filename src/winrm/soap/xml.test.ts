import assert from 'node:assert/strict';
import { test } from 'node:test';
import { childOf, isNil, parseXml } from './xml.ts';

test('namespaces are resolved, whatever the prefixes; attributes keep theirs', () => {
  const root = parseXml(
    '<a:r xmlns:a="urn:1" xmlns:b="urn:2"><a:c xmlns:a="urn:3" b:k="v" k="w">t<![CDATA[<u>]]></a:c></a:r>',
  );
  const child = childOf(root, 'urn:3', 'c')!;
  assert.deepEqual(child.attributes, { 'urn:2 k': 'v', k: 'w' });
  assert.equal(child.text, 't<u>');
  assert.equal(childOf(root, 'urn:1', 'c'), undefined);
});

test('nil is told by the namespace of the attribute', () => {
  const xsi = 'http://www.w3.org/2001/XMLSchema-instance';
  assert.ok(isNil(parseXml(`<r xmlns:q="${xsi}" q:nil="true"/>`)));
  assert.ok(!isNil(parseXml(`<r xmlns:q="${xsi}" q:nil="false"/>`)));
  assert.ok(!isNil(parseXml('<r nil="true"/>')));
});

test('the limits name themselves: depth, number of elements, DOCTYPE', () => {
  const nested = (depth: number): string => '<x>'.repeat(depth) + '</x>'.repeat(depth);
  assert.ok(parseXml(nested(64)));
  assert.throws(() => parseXml(nested(65)), { code: 'WINRM_PROTOCOL_BROKEN', message: /nested/ });
  const wide = (count: number): string => `<r>${'<x/>'.repeat(count - 1)}</r>`;
  assert.equal(parseXml(wide(200_000)).children.length, 199_999);
  assert.throws(() => parseXml(wide(200_001)), { code: 'WINRM_PROTOCOL_BROKEN', message: /too long/ });
  assert.throws(() => parseXml('<!DOCTYPE r><r/>'), { code: 'WINRM_PROTOCOL_BROKEN', message: /DOCTYPE/ });
});

test('an element named like a property of every object is an element like any other', () => {
  const root = parseXml('<r><__proto__ __proto__="x">1</__proto__><constructor/></r>');
  assert.deepEqual(
    root.children.map((child) => child.name),
    ['__proto__', 'constructor'],
  );
  assert.equal(childOf(root, '', '__proto__')!.text, '1');
});
