/** Where nothing native can be called, objects are made and read by Node alone: slower, and the same. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { registerHooks } from 'node:module';
import { after, test } from 'node:test';
import { MiB } from '../base/index.ts';
import { systemZstd } from '../native/index.ts';
import { ObjectCodec, newSalt } from './object.ts';

const hooks = registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'koffi') throw new Error("Cannot find package 'koffi'");
    return next(specifier, context);
  },
});
after(() => hooks.deregister());

test('objects that compress and objects that do not come back whole, and damage is noticed', () => {
  assert.equal(systemZstd(), undefined, 'this test is about a system without it');
  const codec = new ObjectCodec({ idKey: randomBytes(32), sealKey: undefined });
  const text = Buffer.alloc(MiB, 'what is said twice ');
  for (const [raw, isSmaller] of [
    [text, true],
    [randomBytes(MiB), false],
  ] as const) {
    const id = codec.idOf('data', raw);
    const sealed = codec.seal({ kind: 'data', raw, id, salt: newSalt() });
    assert.equal(sealed.length < raw.length, isSmaller);
    assert.ok(codec.open(sealed, { kind: 'data', id }).equals(raw));
    sealed[sealed.length >>> 1]! ^= 1;
    assert.throws(() => codec.open(sealed, { kind: 'data', id }));
  }
});
