/** The numbers of MIT Kerberos, as its header krb5.h has them, and what is made of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GssError, isFailure, kerberosFault } from './gss-status.ts';

const NAMES = { user: 'ann@CORP', host: 'hv1', service: 'HTTP' };
const FAILURE = 13 << 16;

const CODES: readonly (readonly [number, string])[] = [
  [-1_765_328_378, 'KERBEROS_ACCOUNT_REFUSED'], // KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN
  [-1_765_328_377, 'KERBEROS_SERVICE_UNKNOWN'], // KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
  [-1_765_328_366, 'KERBEROS_ACCOUNT_REFUSED'], // KRB5KDC_ERR_CLIENT_REVOKED
  [-1_765_328_361, 'KERBEROS_ACCOUNT_REFUSED'], // KRB5KDC_ERR_KEY_EXP
  [-1_765_328_360, 'KERBEROS_PASSWORD_REFUSED'], // KRB5KDC_ERR_PREAUTH_FAILED
  [-1_765_328_352, 'KERBEROS_TICKET_EXPIRED'], // KRB5KRB_AP_ERR_TKT_EXPIRED
  [-1_765_328_347, 'KERBEROS_CLOCK_SKEW'], // KRB5KRB_AP_ERR_SKEW
  [-1_765_328_343, 'KERBEROS_SERVICE_REFUSED'], // KRB5KRB_AP_ERR_MODIFIED
  [-1_765_328_236, 'KERBEROS_CLOCK_SKEW'], // KRB5_KDCREP_SKEW
  [-1_765_328_230, 'KERBEROS_SERVER_UNREACHABLE'], // KRB5_REALM_UNKNOWN
  [-1_765_328_228, 'KERBEROS_SERVER_UNREACHABLE'], // KRB5_KDC_UNREACH
  [-1_765_328_189, 'KERBEROS_NO_TICKET'], // KRB5_FCC_NOFILE
  [-1_765_328_174, 'KERBEROS_PASSWORD_REFUSED'], // KRB5_PREAUTH_FAILED
  [-1, 'KERBEROS_FAILED'],
];

for (const [minor, code] of CODES) {
  test(`status ${minor} is ${code}`, () => {
    const fault = kerberosFault(new GssError(FAILURE, minor, 'text'), NAMES);
    assert.equal(fault.code, code);
    assert.doesNotMatch(`${fault.message} ${fault.remedy}`, /\{\w+\}|undefined/);
  });
}

test('what is a missing ticket without a keytab is an unusable keytab with one', () => {
  const error = new GssError(7 << 16, 0, 'no credentials');
  assert.equal(kerberosFault(error, NAMES).code, 'KERBEROS_NO_TICKET');
  assert.equal(kerberosFault(error, NAMES, '/a.keytab').code, 'KERBEROS_KEYTAB_UNUSABLE');
});

test('a status of which only the low bits are set is no failure', () => {
  assert.deepEqual([0, 1, 0x1f, 1 << 16, 0x8000_0000].map(isFailure), [false, false, false, true, true]);
});
