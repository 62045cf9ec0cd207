import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { knownKeys, nameOf } from './known-hosts.ts';

const KEY = Buffer.from('a key').toString('base64');
const isTrusted = (names: string, name: string): boolean =>
  knownKeys(`${names} ssh-ed25519 ${KEY} a comment\n`, name).trusted.length === 1;

test('names are patterns, ports count, an exception wins, and case does not matter', () => {
  for (const [names, name, expected] of [
    ['hv1', 'hv1', true],
    ['HV1.example.com', nameOf('hv1.Example.com', 22), true],
    ['hv1', 'hv10', false],
    ['hv?,192.0.2.*', 'hv7', true],
    ['hv?,192.0.2.*', '192.0.2.77', true],
    ['hv?', 'hv', false],
    ['*.example.com,!bad.example.com', 'good.example.com', true],
    ['*.example.com,!bad.example.com', 'bad.example.com', false],
    ['[hv1]:2222', nameOf('hv1', 2222), true],
    ['hv1', nameOf('hv1', 2222), false],
    ['[hv1]:2222', nameOf('hv1', 22), false],
  ] as const) {
    assert.equal(isTrusted(names, name), expected, `${name} by ${names}`);
  }
});

test('hashed names are found by their hash alone', () => {
  const salt = Buffer.from('01234567890123456789');
  const hash = (name: string): string => createHmac('sha1', salt).update(name).digest('base64');
  const names = `|1|${salt.toString('base64')}|${hash('hv1')}`;
  assert.ok(isTrusted(names, 'hv1'));
  assert.ok(!isTrusted(names, 'hv2'));
  assert.ok(!isTrusted('|1|x|y', 'hv1'));
});

test('comments, empty lines, authorities and lines cut short are passed over; revoked keys are kept apart', () => {
  const text = `# hv1 ssh-rsa ${KEY}\r\n\n@cert-authority hv1 ssh-rsa ${KEY}\nhv1 ssh-rsa\n  hv1\n@revoked hv1 ssh-rsa ${KEY}\n`;
  const { trusted, revoked } = knownKeys(text, 'hv1');
  assert.equal(trusted.length, 0);
  assert.deepEqual(revoked, [{ type: 'ssh-rsa', bytes: Buffer.from('a key') }]);
});

test('a pattern fits what the regular expression of the same meaning fits', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const names = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(letters, names, (pattern, name) => {
      fc.pre(pattern !== '');
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
      assert.equal(isTrusted(pattern, name), expression.test(name), `${name} by ${pattern}`);
    }),
    { numRuns: 5000 },
  );
});

test('a pattern of many stars takes no exponential time', () => {
  assert.ok(!isTrusted(`${'*a'.repeat(2000)}b`, 'a'.repeat(4000)));
});
