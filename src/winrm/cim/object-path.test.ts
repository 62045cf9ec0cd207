import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFault } from '../../base/index.ts';
import { formatObjectPath, parseObjectPath, type ObjectPath } from './object-path.ts';

test('the parent of a checkpoint, as a host writes it', () => {
  const text =
    '\\\\HOST\\root\\virtualization\\v2:Msvm_VirtualSystemSettingData.InstanceID="Microsoft:6BCD1C6A-0000-4000-8000-000000000000"';
  const path = parseObjectPath(text);
  assert.deepEqual(path, {
    host: 'HOST',
    namespace: 'root/virtualization/v2',
    className: 'Msvm_VirtualSystemSettingData',
    keys: { InstanceID: 'Microsoft:6BCD1C6A-0000-4000-8000-000000000000' },
  });
  assert.equal(formatObjectPath(path), text);
});

test('a disk attachment: backslashes in the key are doubled in the text', () => {
  const path = {
    className: 'Msvm_ResourceAllocationSettingData',
    keys: { InstanceID: 'Microsoft:A\\B\\0\\0\\D' },
  };
  const text = 'Msvm_ResourceAllocationSettingData.InstanceID="Microsoft:A\\\\B\\\\0\\\\0\\\\D"';
  assert.equal(formatObjectPath(path), text);
  assert.deepEqual(parseObjectPath(text), path);
});

test('slashes, single quotes, bare numbers and singletons are read', () => {
  assert.deepEqual(parseObjectPath("//h/root/cimv2:Win32_Process.Handle='29'"), {
    host: 'h',
    namespace: 'root/cimv2',
    className: 'Win32_Process',
    keys: { Handle: '29' },
  });
  assert.deepEqual(parseObjectPath('C.A=5,B="x,y"').keys, { A: '5', B: 'x,y' });
  assert.deepEqual(parseObjectPath('Msvm_ImageManagementService=@'), {
    className: 'Msvm_ImageManagementService',
    keys: {},
  });
});

const word = fc.stringMatching(/^[A-Za-z_]\w{0,12}$/);
const keys = fc.dictionary(
  word.filter((name) => name !== '__proto__'),
  fc.string({ unit: 'grapheme' }),
  {
    minKeys: 1,
    maxKeys: 3,
    noNullPrototype: true,
  },
);
const paths: fc.Arbitrary<ObjectPath> = fc.oneof(
  fc.record({ className: word, keys }, { noNullPrototype: true }),
  fc.record(
    { host: word, namespace: fc.constant('root/virtualization/v2'), className: word, keys },
    { noNullPrototype: true },
  ),
);

test('every path survives writing and reading, whatever its keys hold', () => {
  fc.assert(fc.property(paths, (path) => assert.deepEqual(parseObjectPath(formatObjectPath(path)), path)));
});

test('a path as the key of a path survives too', () => {
  fc.assert(
    fc.property(paths, (inner) => {
      const outer = { className: 'Assoc', keys: { Antecedent: formatObjectPath(inner) } };
      assert.deepEqual(parseObjectPath(parseObjectPath(formatObjectPath(outer)).keys['Antecedent']!), inner);
    }),
  );
});

test('other text gives a fault, whatever it is', () => {
  for (const text of ['', 'x', 'C.', 'C.A', 'C.A="x', 'C.A="x",', 'C.A="x"B="y"', '\\\\h:C', 'C=@@']) {
    assert.throws(() => parseObjectPath(text), { code: 'WINRM_BAD_OBJECT_PATH' }, text);
  }
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'C.="\'\\,:/@x1'.split('')) }), (text) => {
      try {
        parseObjectPath(text);
      } catch (error) {
        assert.ok(isFault(error));
      }
    }),
  );
});

test('a long hostile text is judged in a breath', () => {
  assert.throws(() => parseObjectPath(`C.A="${'\\\\'.repeat(100_000)}`), { code: 'WINRM_BAD_OBJECT_PATH' });
  assert.throws(() => parseObjectPath('a'.repeat(200_000)), { code: 'WINRM_BAD_OBJECT_PATH' });
});
