import { faults } from '../base/index.ts';

export const winrmFaults = faults('WINRM', {
  badAddress: {
    kind: 'refused',
    text: 'the WinRM address is not usable: {reason}',
    remedy:
      'write it as http://host:5985/wsman or https://host:5986/wsman; user and password have settings of their own',
  },
  unreachable: {
    kind: 'retry',
    text: 'no connection to {host} port {port}: {reason}',
    remedy:
      'check the name, the network, the firewall rule "Windows Remote Management" and that the WinRM service runs (`winrm quickconfig` on the host)',
  },
  silent: {
    kind: 'retry',
    text: '{host} took the connection to port {port} and said nothing for {seconds} s',
    remedy:
      'check the port in the address: WinRM listens on 5985 for http and on 5986 for https; when it is right, look whether the WinRM service of the host hangs, and at what stands between (a proxy, a firewall)',
  },
  tlsRefused: {
    kind: 'refused',
    text: 'no TLS connection to {host} port {port}: {reason}',
    remedy:
      'check that the port is that of an HTTPS listener (`winrm enumerate winrm/config/listener` on the host; http is on 5985) and that it allows TLS 1.2 or later',
  },
  certificateUntrusted: {
    kind: 'refused',
    text: 'the certificate of {host} port {port} comes from nobody this computer trusts ({reason}); its SHA-256 fingerprint is {fingerprint}',
    remedy:
      'give the certificate authority (`caFile`), or compare the fingerprint on the host itself and pin it (`fingerprint256`)',
  },
  certificateExpired: {
    kind: 'refused',
    text: 'the certificate of {host} port {port} is not valid now ({reason})',
    remedy: 'check the clock of this computer, then renew the certificate of the HTTPS listener on the host',
  },
  certificateName: {
    kind: 'refused',
    text: 'the certificate of {host} port {port} is made out to another name: {reason}',
    remedy: 'use a name of the certificate in the address, or a certificate with this name on the host',
  },
  certificateNotPinned: {
    kind: 'refused',
    text: 'the certificate of {host} port {port} is not the pinned one: its SHA-256 fingerprint is {fingerprint}',
    remedy:
      'find out on the host whether its certificate was renewed, and if so pin the new fingerprint; otherwise somebody stands between',
  },
  methodNeedsTls: {
    kind: 'refused',
    text: 'auth {method} is possible only over https to a host whose certificate is checked, and {host} is not reached so',
    remedy:
      'use an https address without `insecure`, or auth kerberos or ntlm, which protect themselves; nothing was sent',
  },
  clientCertificateUnusable: {
    kind: 'refused',
    text: 'the client certificate can not be used: {reason}',
    remedy: 'give the certificate and its unencrypted private key as PEM files that belong together',
  },
  certificateNotMapped: {
    kind: 'refused',
    text: '{host} does not accept the client certificate',
    remedy:
      'on the host allow it (winrm set winrm/config/service/auth @{Certificate="true"}) and map it to a local account (New-Item WSMan:\\localhost\\ClientCertificate)',
  },
  hostNotProved: {
    kind: 'refused',
    text: '{host} accepted the log-on without proving who it is',
    remedy: 'look for a proxy or an intruder between this computer and the host; nothing was sent to it',
  },
  notWinrm: {
    kind: 'refused',
    text: '{host} port {port} answered HTTP {status}, which a WinRM service would not',
    remedy: 'check port and path of the address; WinRM listens on 5985 (http) and 5986 (https), path /wsman',
  },
  methodNotOffered: {
    kind: 'refused',
    text: '{host} does not offer {wanted} authentication; it offers: {offered}',
    remedy: 'allow it on the host: winrm set winrm/config/service/auth @{{wanted}="true"}',
  },
  authenticationFailed: {
    kind: 'refused',
    text: '{host} refused user {user} by {mechanism}: wrong user name or password, or the account may not log on',
    remedy:
      'check user (DOMAIN\\name or name@domain) and password, whether the account is locked, and that NTLM is not blocked; nothing is tried again with this password',
  },
  sealingRefused: {
    kind: 'refused',
    text: '{host} does not protect messages: {reason}',
    remedy:
      'allow 128-bit NTLMv2 session security on the host, or use https; hvlift sends nothing unprotected',
  },
  tampered: {
    kind: 'corrupt',
    text: 'a message from {host} was changed, repeated or lost on its way',
    remedy:
      'look for a proxy or an intruder between this computer and the host; nothing of the message was used',
  },
  connectionLost: {
    kind: 'retry',
    text: 'the connection to {host} broke: {reason}',
    remedy:
      'look at the host and the network, then start again; where the very first answer is missing, look at the port in the address: WinRM listens on 5985 for http and on 5986 for https',
  },
  sessionExpired: {
    kind: 'retry',
    text: '{host} does not know the log-on any more',
    remedy: 'look for what ends its sessions (a restarting WinRM service, a load balancer), then start again',
  },
  effectUnknown: {
    kind: 'retry',
    text: 'the answer to {method} was lost; the host may have done it or not',
    remedy: 'look on the host for what {method} should have changed before calling it again',
    lost: 'the answer of one call; whether it had its effect is not known',
  },
  protocolBroken: {
    kind: 'corrupt',
    text: 'the answer of the host makes no sense: {reason}',
    remedy:
      'check that the address names the port of WinRM, and look for a proxy between this computer and the host; if there is none, report this with the run record',
  },
  accessDenied: {
    kind: 'refused',
    text: '{user} may not use {resource} on {host} (code {code}: {message})',
    remedy:
      'make the account a member of Administrators, or of Hyper-V Administrators and Remote Management Users, on the host',
  },
  notFound: {
    kind: 'refused',
    text: '{host} has no {resource} (code {code}: {message})',
    remedy: 'it may have been removed meanwhile; look at the host',
  },
  classUnknown: {
    kind: 'refused',
    text: '{host} does not know the class or namespace of {resource} (code {code}: {message})',
    remedy: 'check that the Hyper-V role is installed on the host and that its version is supported',
  },
  timedOut: {
    kind: 'retry',
    text: '{host} did not finish {resource} within {seconds} s',
    remedy:
      'the host is busy or hangs: look at its event log, then start again; where not even the log-on is answered, another service may listen at this port',
  },
  envelopeTooLarge: {
    kind: 'refused',
    text: 'the answer to {resource} is larger than the {limitBytes} bytes one message may have',
    remedy: 'ask for less at once, or raise MaxEnvelopeSizekb of the host (winrm/config)',
  },
  quotaExceeded: {
    kind: 'retry',
    text: '{host} allows no further call of this user now (code {code}: {message})',
    remedy: 'wait for other connections of the user to end, or raise the WinRM quotas of the host',
  },
  badFilter: {
    kind: 'refused',
    text: '{host} could not process the query on {resource} (code {code}: {message})',
    remedy: 'check that the Hyper-V role is installed on the host; if it is, report this with the run record',
  },
  contextLost: {
    kind: 'retry',
    text: '{host} forgot the enumeration of {resource} half-way (code {code}: {message})',
    remedy: 'start again',
  },
  schemaInvalid: {
    kind: 'bug',
    text: '{host} found the request on {resource} malformed (code {code}: {message})',
    remedy: 'please report this with the run record; the host did nothing',
  },
  selectorsInvalid: {
    kind: 'refused',
    text: '{host} did not accept the keys of {resource} (code {code}: {message})',
    remedy: 'it may have been removed meanwhile; look at the host',
  },
  parameterInvalid: {
    kind: 'refused',
    text: '{host} did not accept a parameter of {resource} (code {code}: {message})',
    remedy: 'the message of the host may name it; look at the event log Hyper-V-VMMS/Admin',
  },
  providerFailed: {
    kind: 'retry',
    text: '{resource} failed on {host} (code {code}: {message})',
    remedy: 'look at the event logs Hyper-V-VMMS/Admin and Windows Remote Management of the host',
  },
  unsendable: {
    kind: 'refused',
    text: 'the value of {what} can not be sent: {reason}',
    remedy: 'use another name or path',
  },
  badObjectPath: {
    kind: 'corrupt',
    text: 'not a WMI object path: {text}',
    remedy: 'please report this with the run record',
  },
  badEmbedded: {
    kind: 'corrupt',
    text: 'the host sent an instance that can not be read: {reason}',
    remedy: 'please report this with the run record',
  },
  closed: {
    kind: 'bug',
    text: 'the connection to {host} was used after it was closed',
    remedy: 'please report this with the run record',
  },
});
