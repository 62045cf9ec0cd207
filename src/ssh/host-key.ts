/** A host key as the server shows it, and the families of algorithms a key can be asked for by. RFC 4253 6.6, RFC 8332. */
import { createHash } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';

export interface HostKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` … */
  readonly type: string;
  /** As on the wire. */
  readonly bytes: Uint8Array;
  /** `SHA256:` and 43 letters, as `ssh-keygen -lf` prints it. */
  readonly fingerprint: string;
}

const NAME_BYTES_MAX = 64;

/** A blob without a readable type gets the type ``, which nothing trusts. */
export function hostKeyOf(blob: Uint8Array): HostKey {
  const bytes = Buffer.from(blob);
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  const type = length <= NAME_BYTES_MAX ? bytes.toString('latin1', 4, 4 + length) : '';
  const digest = createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '');
  return { type, bytes, fingerprint: `SHA256:${digest}` };
}

/** By type of key, best first. RSA with SHA-1 is not among them. */
const ALGORITHMS: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

export const HOST_KEY_TYPES: readonly string[] = Object.keys(ALGORITHMS);

export function hostKeyAlgorithms(types: readonly string[]): ServerHostKeyAlgorithm[] {
  return types.flatMap((type) => ALGORITHMS[type] ?? []);
}
