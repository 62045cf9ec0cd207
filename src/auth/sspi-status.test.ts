import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SspiError, sspiFault } from './sspi-status.ts';

const NAMES = { user: 'ann', host: 'hv1', service: 'HTTP' };

const STATUSES = {
  SEC_E_TARGET_UNKNOWN: [0x80090303, 'KERBEROS_SERVICE_UNKNOWN'],
  SEC_E_LOGON_DENIED: [0x8009030c, 'KERBEROS_PASSWORD_REFUSED'],
  SEC_E_NO_CREDENTIALS: [0x8009030e, 'KERBEROS_NO_TICKET'],
  SEC_E_NO_AUTHENTICATING_AUTHORITY: [0x80090311, 'KERBEROS_SERVER_UNREACHABLE'],
  SEC_E_CONTEXT_EXPIRED: [0x80090317, 'KERBEROS_TICKET_EXPIRED'],
  SEC_E_WRONG_PRINCIPAL: [0x80090322, 'KERBEROS_SERVICE_REFUSED'],
  SEC_E_TIME_SKEW: [0x80090324, 'KERBEROS_CLOCK_SKEW'],
  SEC_E_KDC_UNKNOWN_ETYPE: [0x80090342, 'KERBEROS_TOO_WEAK'],
  SEC_E_BAD_BINDINGS: [0x80090346, 'KERBEROS_BINDING_REFUSED'],
  SEC_E_INVALID_TOKEN: [0x80090308, 'SSPI_FAILED'],
} as const;

for (const [name, [status, code]] of Object.entries(STATUSES)) {
  test(`${name} is ${code}, and every blank of its text is filled`, () => {
    const fault = sspiFault(new SspiError('InitializeSecurityContext', status), NAMES);
    assert.equal(fault.code, code);
    assert.doesNotMatch(`${fault.message} ${fault.remedy}`, /[{}]/);
  });
}

test('a number nobody knows is shown', () => {
  const fault = sspiFault(new SspiError('EncryptMessage', 0x80091234), NAMES);
  assert.match(fault.message, /EncryptMessage answered 0x80091234/);
});
