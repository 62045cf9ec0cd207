/** Ties a log-on to the TLS connection below it: `tls-server-end-point`, RFC 5929 4, as NTLM wants it (MS-NLMP 2.2.2.1). */
import { createHash, X509Certificate } from 'node:crypto';
import { md5 } from './keys.ts';

/** MD5 over a gss_channel_bindings structure: four empty address fields, then the length and bytes of the binding. */
export function channelBinding(certificateDer: Uint8Array): Uint8Array {
  const hash = createHash(hashFor(certificateDer)).update(certificateDer).digest();
  const data = Buffer.concat([Buffer.from('tls-server-end-point:', 'latin1'), hash]);
  const head = new Uint8Array(20);
  new DataView(head.buffer).setUint32(16, data.length, true);
  return md5(head, data);
}

/** The hash of the certificate's own signature, but SHA-256 where that is MD5 or SHA-1 (RFC 5929 4.1). */
function hashFor(certificateDer: Uint8Array): string {
  const algorithm = new X509Certificate(Buffer.from(certificateDer)).signatureAlgorithm ?? '';
  return /sha-?(384|512)/i.exec(algorithm)?.[1]?.replace(/^/, 'sha') ?? 'sha256';
}
