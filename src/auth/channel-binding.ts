/** Ties a log-on to the TLS connection below it: `tls-server-end-point`, RFC 5929 4. */
import { createHash, X509Certificate } from 'node:crypto';

/** The application data of the binding: both sides compute it from the certificate the server showed, in DER. */
export function channelBinding(certificateDer: Uint8Array): Uint8Array {
  const hash = createHash(hashFor(certificateDer)).update(certificateDer).digest();
  return Buffer.concat([Buffer.from('tls-server-end-point:', 'latin1'), hash]);
}

/** The hash of the certificate's own signature, but SHA-256 where that is MD5 or SHA-1 (RFC 5929 4.1). */
function hashFor(certificateDer: Uint8Array): string {
  const algorithm = new X509Certificate(Buffer.from(certificateDer)).signatureAlgorithm ?? '';
  return /sha-?(384|512)/i.exec(algorithm)?.[1]?.replace(/^/, 'sha') ?? 'sha256';
}
