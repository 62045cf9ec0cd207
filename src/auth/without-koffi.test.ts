/** koffi is optional: without it Kerberos says what to install, and everything else goes on by NTLM. */
import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { after, test } from 'node:test';
import { Credentials } from '../ntlm/index.ts';
import { securityFor } from './choice.ts';

const hooks = registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'koffi') throw new Error("Cannot find package 'koffi'");
    return next(specifier, context);
  },
});
after(() => hooks.deregister());

const credentials = new Credentials('ann@corp.example', 'x');
const target = { host: 'hv1.corp.example', service: 'HTTP' } as const;

test('Kerberos that is named is refused with what to install', async () => {
  await assert.rejects(securityFor(credentials, { mechanism: 'kerberos' })(target), {
    code: 'KERBEROS_UNAVAILABLE',
    message: /koffi/,
  });
});

test('without a choice NTLM is used, and says why not Kerberos', async () => {
  using context = await securityFor(credentials, {})(target);
  assert.match(context.name, /^NTLM \(no Kerberos: .*koffi/);
});
