/** The ciphers offered, the preferred one first. MS-SMB2 2.2.3.1.2: GCM only; CCM is several times slower and no host needs it. */
export const CIPHERS = {
  'aes-128-gcm': { id: 2, keyBytes: 16 },
  'aes-256-gcm': { id: 4, keyBytes: 32 },
} as const;

export type CipherName = keyof typeof CIPHERS;
