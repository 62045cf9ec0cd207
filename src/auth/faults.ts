import { faults } from '../base/index.ts';

export const kerberosFaults = faults('KERBEROS', {
  unavailable: {
    kind: 'refused',
    text: 'Kerberos can not be used on this computer: {reason}',
    remedy:
      'install the Kerberos library of the system (Debian: libgssapi-krb5-2; Red Hat: krb5-libs) and the npm package koffi, or set `auth: ntlm` for the host',
  },
  noPrincipal: {
    kind: 'refused',
    text: '{user} names no Kerberos principal: {reason}',
    remedy: 'write the user as name@REALM, where REALM is the DNS name of the domain',
  },
  noTicket: {
    kind: 'refused',
    text: 'there is no Kerberos ticket for {user}: {reason}',
    remedy:
      'get one with `kinit` (on Windows: run hvlift under an account of the domain), or give the host a password or a keytab',
  },
  ticketExpired: {
    kind: 'refused',
    text: 'the Kerberos ticket of {user} has expired',
    remedy:
      'get a new one with `kinit`, or give the host a password or a keytab, which renew it by themselves',
  },
  keytabUnusable: {
    kind: 'refused',
    text: 'the keytab {keytab} can not be used for {user}: {reason}',
    remedy:
      'check that the file can be read and holds the current key of {user} (`klist -k -e`); a changed password makes keytabs invalid',
  },
  passwordRefused: {
    kind: 'refused',
    text: 'the Kerberos server refused the password or key of {user}',
    remedy:
      'correct the password or the keytab; nothing is tried again with this one, because each try counts towards locking the account',
  },
  accountRefused: {
    kind: 'refused',
    text: 'the Kerberos server does not let {user} log on: {reason}',
    remedy: 'check the name and whether the account or its password is locked, disabled or expired',
  },
  clockSkew: {
    kind: 'refused',
    text: 'the clocks of this computer, {host} and the Kerberos server differ too much',
    remedy: 'set them by the same time source; Kerberos allows five minutes',
  },
  serverUnreachable: {
    kind: 'retry',
    text: 'no Kerberos server (KDC) answers for {user}: {reason}',
    remedy:
      'check the realm, the DNS records _kerberos._udp or /etc/krb5.conf, and port 88 of the domain controllers',
  },
  serviceUnknown: {
    kind: 'refused',
    text: 'the Kerberos server knows no service {service}/{host}',
    remedy:
      'reach the host by the full DNS name it has in its domain, not by an address or alias, or register the name: setspn -S {service}/{host} COMPUTER',
  },
  serviceRefused: {
    kind: 'refused',
    text: '{host} can not read the Kerberos ticket for {service}/{host}',
    remedy:
      'the name belongs to another account or the host has changed its password: look for duplicates with setspn -X, check DNS, and get new tickets (`kdestroy`)',
  },
  bindingRefused: {
    kind: 'refused',
    text: '{host} finds the log-on tied to another TLS certificate than its own',
    remedy: 'look for a proxy that terminates TLS between this computer and the host',
  },
  tooWeak: {
    kind: 'refused',
    text: 'the Kerberos session with {host} would have {weakness}',
    remedy:
      'allow AES for the account and the computer (msDS-SupportedEncryptionTypes 0x18), then change their passwords once',
  },
  notMutual: {
    kind: 'refused',
    text: '{host} did not prove by Kerberos that it is {host}',
    remedy: 'look for a proxy or an intruder between this computer and the host; nothing was sent to it',
  },
  timedOut: {
    kind: 'retry',
    text: 'the Kerberos log-on of {user} did not finish within {seconds} s',
    remedy: 'check DNS and the network between this computer and the domain controllers',
  },
  failed: {
    kind: 'refused',
    text: 'the Kerberos log-on of {user} to {service}/{host} failed: {reason}',
    remedy: 'look the reason up in the documentation of Kerberos, or set `auth: ntlm` for the host',
  },
});

export const logOnFaults = faults('LOG_ON', {
  noPassword: {
    kind: 'refused',
    text: '{method} needs a user and a password, and none is given for {host}',
    remedy: 'give the host a user and a password, or get a ticket with `kinit` and set `auth: kerberos`',
  },
});

export const sspiFaults = faults('SSPI', {
  unavailable: {
    kind: 'refused',
    text: 'the log-on of Windows can not be called: {reason}',
    remedy:
      'install the npm package koffi, or give the host a user and a password and set `auth: ntlm`, which needs neither',
  },
  anonymous: {
    kind: 'refused',
    text: 'Windows would log on to {host} as nobody',
    remedy: 'run hvlift under an account of the domain, or give the host a user and a password',
  },
  failed: {
    kind: 'refused',
    text: 'the log-on of {user} to {service}/{host} by Windows failed: {reason}',
    remedy:
      'check user and password, then look the number up in the documentation of Windows (SEC_E_…); nothing is tried again with this password, because each try counts towards locking the account',
  },
});
