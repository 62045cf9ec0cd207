import { faults } from '../base/index.ts';

export const sshFaults = faults('SSH', {
  unreachable: {
    kind: 'retry',
    text: 'no SSH connection to {host} port {port}: {reason}',
    remedy:
      'check the name, the network, that the service "OpenSSH SSH Server" of the host runs, and its firewall rule',
  },
  connectionLost: {
    kind: 'retry',
    text: 'the SSH connection to {host} broke: {reason}',
    remedy: 'look at the host and the network, then start again',
  },
  timedOut: {
    kind: 'retry',
    text: '{host} did not answer over SSH within {seconds} s ({what})',
    remedy: 'the host is busy or hangs; look at it and at the network, then start again',
  },
  handshakeFailed: {
    kind: 'refused',
    text: '{host} port {port} and hvlift agree on no SSH connection: {reason}',
    remedy:
      'the server must speak SSH 2 with a current key exchange, an ed25519, ECDSA or RSA (SHA-2) host key, and AES-GCM or AES-CTR',
  },
  hostKeyUnknown: {
    kind: 'refused',
    text: 'the host key of {host} is not known yet; it showed {type} {fingerprint}',
    remedy:
      'compare it with what the host itself says (`ssh-keygen -lf C:\\ProgramData\\ssh\\ssh_host_ed25519_key.pub`), then put it into `ssh.fingerprint` of the host, or run `hvlift host test` on a terminal and confirm it',
  },
  hostKeyChanged: {
    kind: 'refused',
    text: '{host} showed another host key than the one that is trusted: {type} {fingerprint}',
    remedy:
      'either somebody stands between this computer and the host, or the host was set up anew: ask who runs it; only then correct `ssh.fingerprint`, or take the old key out of {place}',
  },
  hostKeyRevoked: {
    kind: 'refused',
    text: 'the host key of {host}, {type} {fingerprint}, is marked as revoked in {place}',
    remedy: 'the host needs a new key; ask who revoked this one',
  },
  badFingerprint: {
    kind: 'refused',
    text: 'the fingerprint of the host key of {host} is not of the form SHA256: and 43 letters',
    remedy: 'write it as `ssh-keygen -lf` prints it; MD5 is not accepted',
  },
  knownHostsUnusable: {
    kind: 'refused',
    text: 'the file of known host keys {path} cannot be used: {reason}',
    remedy: 'correct its rights, or name another file in `ssh.knownHosts` of the host',
  },
  logonFailed: {
    kind: 'refused',
    text: '{host} refused user {user}, tried by {methods}{more}',
    remedy:
      'check the user and that its public key is on the host: administrators of Windows have theirs in C:\\ProgramData\\ssh\\administrators_authorized_keys, others in .ssh\\authorized_keys; nothing is tried again in this run',
  },
  noMethod: {
    kind: 'refused',
    text: 'there is no way named to log on to {host} by SSH as {user}',
    remedy: 'name `ssh.keyFile`, `ssh.agent` or `ssh.password` of the host in the configuration',
  },
  keyUnusable: {
    kind: 'refused',
    text: 'the private key {path} cannot be used: {reason}',
    remedy: 'name a private key in the format of OpenSSH or PEM, and the passphrase when it has one',
  },
  subsystemRefused: {
    kind: 'refused',
    text: '{host} offers no {name} over SSH: {reason}',
    remedy:
      'sshd_config of the host needs `Subsystem sftp sftp-server.exe` and no ForceCommand for this user',
  },
  forwardRefused: {
    kind: 'refused',
    text: '{host} does not pass connections on to {target}: {reason}',
    remedy:
      'check that WinRM listens there, and that sshd_config of the host has AllowTcpForwarding and no PermitOpen that leaves it out',
  },
  closed: {
    kind: 'bug',
    text: 'the SSH client of {host} was used after it was closed',
    remedy: 'please report this with the run record',
  },
});
