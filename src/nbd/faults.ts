import { faults } from '../base/index.ts';

export const nbdFaults = faults('NBD', {
  addressInvalid: {
    kind: 'refused',
    text: '{address} is no NBD address: {reason}',
    remedy:
      'write nbd://host:port/export, nbds://host:port/export, or nbd+unix:///export?socket=/path/of/the/socket',
  },
  unreachable: {
    kind: 'retry',
    text: 'no NBD connection to {server}: {reason}',
    remedy: 'check that the server runs, the address, and the firewall between',
  },
  connectionLost: {
    kind: 'retry',
    text: 'the NBD connection to {server} broke: {reason}',
    remedy: 'look at the server and the network, then start again',
  },
  timedOut: {
    kind: 'retry',
    text: '{server} did not answer an NBD request within {seconds} s',
    remedy: 'the server is busy or hangs; look at it and at its disk, then start again',
  },
  protocolBroken: {
    kind: 'refused',
    text: '{server} does not speak NBD as it should: {reason}',
    remedy:
      'check that address and port belong to an NBD server (fixed newstyle, such as qemu-nbd or nbdkit)',
  },
  exportRefused: {
    kind: 'refused',
    text: '{server} does not give the export "{name}": {reason}',
    remedy: 'ask the server for its exports (nbdinfo lists them), and check its rights',
  },
  tlsRefused: {
    kind: 'refused',
    text: '{server} gives no TLS: {reason}',
    remedy: 'turn TLS on at the server; with nbds:// hvlift sends and reads nothing unencrypted',
  },
  tlsRequired: {
    kind: 'refused',
    text: '{server} wants TLS',
    remedy: 'write nbds:// instead of nbd://, with the certificate of its authority',
  },
  readOnly: {
    kind: 'refused',
    text: 'the export "{name}" of {server} cannot be written',
    remedy: 'export it writable at the server, or choose another target',
  },
  exportChanged: {
    kind: 'refused',
    text: 'after a new connection the export "{name}" of {server} is another one: {reason}',
    remedy: 'see that nothing changes or replaces the disk meanwhile, then start again',
  },
  ioFailed: {
    kind: 'retry',
    text: '{server} could not {what} {length} bytes at {offset} (error {error})',
    remedy: 'look at the log of the server and at its disk, then start again',
  },
  noSpace: {
    kind: 'refused',
    text: 'the disk behind {server} is full; {length} bytes at {offset} were not written',
    remedy: 'free space there, then start again; what was flushed before is intact',
  },
  writesUncertain: {
    kind: 'retry',
    text: 'the connection to {server} broke after {count} writes that were answered and not yet flushed; the server may have lost them',
    remedy: 'write everything since the last flush again',
  },
  certificateUnusable: {
    kind: 'refused',
    text: 'certificate or key cannot be used: {reason}',
    remedy: 'give PEM files of a certificate and of the key that belongs to it',
  },
  listenFailed: {
    kind: 'refused',
    text: 'nothing can be served at {place}: {reason}',
    remedy: 'choose another port or socket, or end what uses this one',
  },
  closed: {
    kind: 'bug',
    text: 'the NBD export was used after it was closed',
    remedy: 'please report this with the run record',
  },
});
