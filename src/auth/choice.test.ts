/** Which mechanism is taken where there is no realm at hand; with one, see test/interop/kerberos.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Credentials } from '../ntlm/index.ts';
import { securityFor, type SecurityChoice } from './choice.ts';

const nameOf = async (user: string, host: string, choice: SecurityChoice): Promise<string> => {
  using context = await securityFor(new Credentials(user, 'x'), choice)({ host, service: 'HTTP' });
  return context.name;
};

test('an account of the host, a domain known by its short name and a host known by its address mean NTLM', async () => {
  for (const [user, host] of [
    ['ann', 'hv1'],
    ['.\\ann', 'hv1'],
    ['CORP\\ann', 'hv1.corp.example'],
    ['ann@corp.example', '10.0.0.1'],
  ] as const) {
    assert.equal(await nameOf(user, host, {}), 'NTLM');
  }
});

test('NTLM that is named is not preceded by an attempt at Kerberos', async () => {
  assert.equal(await nameOf('ann@corp.example', 'hv1', { mechanism: 'ntlm' }), 'NTLM');
});

test('Kerberos that is named and can not be says what is missing', async () => {
  for (const [user, host, text] of [
    ['CORP\\ann', 'hv1', /the realm is missing/],
    ['ann@corp.example', '10.0.0.1', /an address/],
  ] as const) {
    await assert.rejects(nameOf(user, host, { mechanism: 'kerberos' }), {
      code: 'KERBEROS_NO_PRINCIPAL',
      message: text,
    });
  }
});
