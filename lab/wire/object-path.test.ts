import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatPath, parsePath } from './object-path.ts';

const context = { hostName: 'HV1', namespace: 'root/virtualization/v2' };

test('a path is written as Parent of a checkpoint was seen (go-wsman, Parent of a checkpoint), backslashes doubled', () => {
  const path = { className: 'Msvm_VirtualSystemSettingData', keys: { InstanceID: 'Microsoft:A\\B' } };
  const text = String.raw`\\HV1\root\virtualization\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:A\\B"`;
  assert.equal(formatPath(path, context), text);
});

test('every path survives writing and reading, with quotes, commas, braces and backslashes in its keys', () => {
  const value = fc.string({ unit: fc.constantFrom('"', "'", '\\', ',', '=', '{', '}', ':', 'a', '%', 'é') });
  const keys = fc.dictionary(fc.constantFrom('A', 'B', 'InstanceID'), value, { minKeys: 1 });
  fc.assert(
    fc.property(keys, (one) => {
      const path = { className: 'Msvm_X', keys: { ...one } };
      assert.deepEqual(parsePath(formatPath(path, context)), path);
    }),
  );
});

test('host and namespace are optional, and their slashes may be either (seen 2026-10-05)', () => {
  const path = { className: 'C', keys: { A: 'x', B: '1' } };
  for (const prefix of [
    '',
    '//HV1/root/virtualization/v2:',
    String.raw`\\.\root\virtualization\v2:`,
    'root/virtualization/v2:',
  ]) {
    assert.deepEqual(parsePath(`${prefix}C.A='x',B=1`), path, prefix);
  }
});

test('what is no path is refused', () => {
  for (const text of ['', 'C', 'C.', 'C.A', 'C.A=', 'C.A="x', 'C.A="x",', 'C.A="x"B="y"', 'C.A=x']) {
    assert.equal(parsePath(text), undefined, text);
  }
});
