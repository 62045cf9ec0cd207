import { faults } from '../base/index.ts';

export const ntlmFaults = faults('NTLM', {
  securityRefused: {
    kind: 'refused',
    text: '{host} logs on by NTLM without {missing}',
    remedy:
      'allow 128-bit NTLMv2 session security on the host (policy "Minimum session security for NTLM SSP"); nothing derived from the password was sent',
  },
  badChallenge: {
    kind: 'corrupt',
    text: 'the NTLM challenge of {host} makes no sense: {reason}',
    remedy:
      'look for a proxy between this computer and the host; if there is none, report this with the run record',
  },
  cryptoMissing: {
    kind: 'refused',
    text: 'this computer does not allow {algorithm}, without which NTLM is impossible',
    remedy: 'run hvlift without the FIPS mode of OpenSSL',
  },
});
