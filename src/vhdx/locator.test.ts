import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NIL_GUID, newGuid } from '../base/index.ts';
import { isParent, locatorBytes, parseLocator } from './locator.ts';

const parentLinkage = newGuid();

test('a locator is read as it was written, with any subset of its paths', () => {
  const path = fc.option(fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }), { nil: undefined });
  fc.assert(
    fc.property(path, path, path, fc.boolean(), (relativePath, volumePath, absolutePath, merging) => {
      const paths = Object.fromEntries(
        Object.entries({ relativePath, volumePath, absolutePath }).filter(([, value]) => value !== undefined),
      );
      const locator = { parentLinkage, ...(merging ? { parentLinkage2: newGuid() } : {}), ...paths };
      assert.deepEqual(parseLocator(locatorBytes(locator)), locator);
    }),
  );
});

test('the second identity counts only while a merge has set it: all zeros is nobody’s', () => {
  const locator = parseLocator(locatorBytes({ parentLinkage }));
  assert.equal(isParent(locator, parentLinkage), true);
  assert.equal(isParent(locator, NIL_GUID), false);
  const parentLinkage2 = newGuid();
  assert.equal(isParent(parseLocator(locatorBytes({ parentLinkage, parentLinkage2 })), parentLinkage2), true);
});
