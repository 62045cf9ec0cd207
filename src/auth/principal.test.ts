import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credentials } from '../ntlm/index.ts';
import { isNamed, principalOf } from './principal.ts';

const PRINCIPALS: readonly (readonly [string, string | undefined])[] = [
  ['ann@corp.example', 'ann@CORP.EXAMPLE'],
  ['ann@CORP.EXAMPLE', 'ann@CORP.EXAMPLE'],
  ['corp.example\\ann', 'ann@CORP.EXAMPLE'],
  ['a@b@corp.example', 'a@b@CORP.EXAMPLE'],
  ['CORP\\ann', undefined],
  ['.\\ann', undefined],
  ['ann', undefined],
  ['ann@', undefined],
  ['@corp.example', undefined],
];

for (const [user, principal] of PRINCIPALS) {
  test(`the principal of ${user} is ${principal ?? 'not known'}`, () => {
    assert.equal(principalOf(new Credentials(user, 'x')), principal);
  });
}

test('there are tickets for names, not for addresses', () => {
  assert.deepEqual(['hv1', 'hv1.corp.example', '10.0.0.1', 'fe80::1'].map(isNamed), [
    true,
    true,
    false,
    false,
  ]);
});
