/**
 * Whether the SSH library found its native cipher. Without it everything works in JavaScript, at a fraction of the speed,
 * and nothing else would say so: it is compiled at installation, for one version of Node, and falls back in silence.
 */
import { createRequire } from 'node:module';
import type { Algorithms } from 'ssh2';

export function hasNativeSshCrypto(): boolean {
  const library = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js') as {
    bindingAvailable: boolean;
  };
  return library.bindingAvailable;
}

/** GCM first; nothing with SHA-1, CBC or Diffie-Hellman groups below 2048 bits; no compression of what is disks. */
export const ALGORITHMS: Algorithms = {
  cipher: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
};
