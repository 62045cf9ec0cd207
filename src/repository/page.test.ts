import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { CELLS, FAN_OUT, LEAF_SLOTS } from './format.ts';
import { decodeLeaf, decodeNode, encodeLeaf, encodeNode } from './page.ts';
import { entryOf, type SlotEntry } from './slot.ts';

const anyId = fc.constantFrom('11', '22', '33', 'ff').map((pair) => pair.repeat(32));
const anyEntry: fc.Arbitrary<SlotEntry> = fc
  .array(
    fc.option(fc.record({ id: anyId, cell: fc.nat({ max: CELLS - 1 }) }, { noNullPrototype: true }), {
      freq: 2,
    }),
    { minLength: CELLS, maxLength: CELLS },
  )
  .map((cells) => entryOf(cells));

const anyLeaf = fc
  .array(fc.tuple(fc.nat({ max: LEAF_SLOTS - 1 }), anyEntry), { minLength: 1, maxLength: 20 })
  .map((changes) => {
    const slots = Array.from({ length: LEAF_SLOTS }, (): SlotEntry => null);
    for (const [index, entry] of changes) slots[index] = entry;
    return slots;
  });

test('leaves and nodes are read as they were written', () => {
  fc.assert(
    fc.property(anyLeaf, (slots) => {
      const bytes = encodeLeaf(slots);
      if (bytes) assert.deepEqual(decodeLeaf(bytes).slots, slots);
      else assert.ok(slots.every((slot) => slot === null));
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.option(anyId), { minLength: FAN_OUT, maxLength: FAN_OUT }), (children) => {
      const bytes = encodeNode(3, children);
      if (bytes) assert.deepEqual(decodeNode(bytes, 3).children, children);
    }),
  );
});

test('a damaged page is refused or is another page, never anything else', () => {
  fc.assert(
    fc.property(anyLeaf, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (slots, at, flip, cut) => {
      const bytes = encodeLeaf(slots);
      if (!bytes) return;
      const damaged = Buffer.from(cut ? bytes.subarray(0, at % bytes.length) : bytes);
      if (!cut) damaged[at % damaged.length]! ^= flip;
      try {
        const page = decodeLeaf(damaged);
        assert.ok(!cut, 'a cut page is never accepted');
        assert.equal(page.slots.length, LEAF_SLOTS);
      } catch (error) {
        assert.ok(hasCode(error, 'REPO_PAGE_DAMAGED'), String(error));
      }
    }),
  );
});

test('a page of another level is refused', () => {
  const bytes = encodeNode(2, ['11'.repeat(32), ...Array.from({ length: FAN_OUT - 1 }, () => null)])!;
  assert.throws(
    () => decodeNode(bytes, 1),
    (error) => hasCode(error, 'REPO_PAGE_DAMAGED'),
  );
});
