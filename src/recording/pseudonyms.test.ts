import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pseudonyms } from './pseudonyms.ts';

const word = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .map((text) => text.replaceAll(/[\0-/:-@[-`{-\x7f]/g, 'x'));

test('one original has one pseudonym, in any case; two originals never share one', () => {
  fc.assert(
    fc.property(fc.uniqueArray(word, { maxLength: 60, selector: (each) => each.toLowerCase() }), (words) => {
      const pseudonyms = new Pseudonyms();
      const first = words.map((each) => pseudonyms.of('word', each).toLowerCase());
      assert.equal(new Set(first).size, words.length);
      assert.deepEqual(
        words.map((each) => pseudonyms.of('word', each.toLowerCase()).toLowerCase()),
        first,
      );
      assert.ok(words.every((each, index) => each.toLowerCase() !== first[index]));
    }),
  );
});

test('case, length and kind of character stay', () => {
  const pseudonyms = new Pseudonyms();
  assert.match(pseudonyms.of('word', 'Web01'), /^[A-Z][a-z]{2}\d{2}$/);
  for (const original of ['Päyroll', '検証サーバー', 'ёлка', '𠮷野家', 'WEB']) {
    const pseudonym = pseudonyms.of('word', original);
    assert.equal(Buffer.byteLength(pseudonym), Buffer.byteLength(original), original);
    assert.equal(Array.from(pseudonym).length, Array.from(original).length, original);
  }
});

test('a GUID is the same in every spelling, and keeps the spelling', () => {
  const pseudonyms = new Pseudonyms();
  const plain = pseudonyms.of('guid', '5BFDE23B-CE75-4303-B54F-6C18394F105C');
  assert.match(plain, /^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/);
  assert.equal(pseudonyms.of('guid', '5bfde23b-ce75-4303-b54f-6c18394f105c'), plain.toLowerCase());
  assert.equal(
    pseudonyms.of('guid', '5bfde23b:ce75:4303:b54f:6c18394f105c'),
    plain.toLowerCase().replaceAll('-', ':'),
  );
  assert.equal(
    pseudonyms.of('guid', '5bfde23bce754303b54f6c18394f105c'),
    plain.toLowerCase().replaceAll('-', ''),
  );
});

test('once settled, no pseudonym holds an original', () => {
  for (let key = 0; key < 20; key += 1) {
    const pseudonyms = new Pseudonyms(String(key));
    const originals = Array.from({ length: 400 }, (_, index) => String(index * 23 + 1000));
    for (const each of originals) pseudonyms.of('word', each);
    // All numbers of four digits that are not among the originals would not be enough for five: these are drawn anew.
    const longer = Array.from({ length: 50 }, (_, index) => `${index + 10_000}00`);
    for (const each of longer) pseudonyms.of('word', each);
    pseudonyms.settle();
    for (const each of [...originals, ...longer]) {
      const pseudonym = pseudonyms.of('word', each);
      assert.ok(
        originals.every((original) => !pseudonym.includes(original)),
        `${each} is ${pseudonym}`,
      );
    }
  }
});

test('two recordings of the same host have other pseudonyms: a name can not be guessed and recognised', () => {
  const [one, other] = [new Pseudonyms(), new Pseudonyms()];
  assert.notEqual(one.of('word', 'payroll-database'), other.of('word', 'payroll-database'));
});
