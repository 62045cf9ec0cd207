import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalJson, parseObject } from './canonical-json.ts';

test('a value has one text, whatever the order its keys were set in, and the text is the value', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue()), (value, members) => {
      assert.equal(canonicalJson(JSON.parse(canonicalJson(value))), canonicalJson(value));
      assert.deepEqual(JSON.parse(canonicalJson(value)), JSON.parse(JSON.stringify(value)));
      const reversed = Object.fromEntries(Object.entries(members).toReversed());
      assert.equal(canonicalJson(reversed), canonicalJson(members));
    }),
  );
});

test('keys are in the order of their text, also those that look like numbers; undefined is left out', () => {
  assert.equal(
    canonicalJson({ b: 1, a: undefined, 9: [], 10: { '': null } }),
    '{"10":{"":null},"9":[],"b":1}',
  );
});

test('what nests without end is refused, not walked through', () => {
  const nested = (depth: number): string => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  assert.ok(parseObject(nested(60)));
  for (const depth of [100, 30_000, 300_000]) assert.equal(parseObject(nested(depth)), undefined);
});

test('what is no object is not taken for one', () => {
  for (const text of ['', '{', 'null', '[]', '1', '"{}"']) assert.equal(parseObject(text), undefined);
  assert.deepEqual(parseObject('{"a":[1]}'), { a: [1] });
});
