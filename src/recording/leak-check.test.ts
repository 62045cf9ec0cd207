import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodings, refuseLeaks } from './leak-check.ts';
import { STRUCTURE_WORDS } from './values.ts';

const name = { what: 'name of a VM', text: 'Payroll-DB' };
const check = (recording: string, ...names: { what: string; text: string }[]): void =>
  refuseLeaks(recording, [name, ...names], STRUCTURE_WORDS);

test('a name that is left in any spelling keeps the recording from being written, and is not told in the error', () => {
  for (const spelling of ['payroll-db', 'PAYROLL-DB', ...encodings(name.text)]) {
    assert.throws(
      () => check(`<a>${spelling}</a>`),
      (error: Error & { code?: string }) => {
        assert.doesNotMatch(error.message, /payroll/i);
        return error.code === 'RECORDING_LEAK';
      },
    );
  }
  const inside = Buffer.from(`xy${name.text}z`, 'utf16le').toString('base64');
  assert.throws(() => check(inside), { code: 'RECORDING_LEAK' });
});

test('short names, and words every host has, are not looked for', () => {
  check(
    '<p:Name>Virtual Machines, web</p:Name>',
    { what: 'name of a VM', text: 'web' },
    { what: 'name of a VM', text: 'Virtual Machines' },
  );
});
