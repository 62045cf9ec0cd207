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

test('without a user, and without tickets of one, nothing is left but to say so', async () => {
  const open = securityFor(undefined, { mechanism: 'ntlm' }, 'linux');
  await assert.rejects(open({ host: 'hv1', service: 'HTTP' }), { code: 'LOG_ON_NO_PASSWORD' });
  const byAddress = securityFor(undefined, {}, 'linux');
  await assert.rejects(byAddress({ host: '10.0.0.1', service: 'HTTP' }), { code: 'LOG_ON_NO_PASSWORD' });
});

test('on Windows a keytab is refused by its name', async () => {
  const credentials = new Credentials('ann@corp.example', 'x');
  const open = securityFor(credentials, { mechanism: 'kerberos', keytab: '/k' }, 'win32');
  await assert.rejects(open({ host: 'hv1', service: 'HTTP' }), { code: 'KERBEROS_KEYTAB_UNUSABLE' });
});

// secur32.dll is not here, so what is asked of Windows shows as its absence.
test('on Windows its own log-on comes first for accounts of a domain, and NTLM with the password after it', async () => {
  for (const user of ['CORP\\ann', 'ann@corp.example', 'corp.example\\ann']) {
    const open = securityFor(new Credentials(user, 'x'), {}, 'win32');
    using context = await open({ host: 'hv1', service: 'HTTP' });
    assert.match(context.name, /^NTLM \(no Kerberos: the log-on of Windows can not be called/);
  }
  for (const user of ['ann', '.\\ann']) {
    using context = await securityFor(
      new Credentials(user, 'x'),
      {},
      'win32',
    )({ host: 'hv1', service: 'HTTP' });
    assert.equal(context.name, 'NTLM');
  }
});

test('on Windows the account that runs hvlift is never replaced by anybody else', async () => {
  for (const mechanism of ['auto', 'kerberos', 'ntlm'] as const) {
    const open = securityFor(undefined, { mechanism }, 'win32');
    await assert.rejects(open({ host: 'hv1', service: 'HTTP' }), { code: 'SSPI_UNAVAILABLE' });
  }
});
