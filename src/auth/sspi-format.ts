/**
 * What the functions of secur32.dll are handed, in 64 bits: structures and numbers of sspi.h, as Microsoft documents them.
 * Addresses are u64; user space ends far below 2^53.
 */
import { struct, u16, u32, u64 } from '../base/index.ts';

/** CredHandle and CtxtHandle: two words of Windows' own. TimeStamp: a FILETIME. */
export const HANDLE_BYTES = 16;
export const TIME_STAMP_BYTES = 8;

export const secBuffer = struct('SecBuffer', 16, { length: u32(0), type: u32(4), address: u64(8) });
export const secBufferDesc = struct('SecBufferDesc', 16, { version: u32(0), count: u32(4), buffers: u64(8) });

/** SEC_WINNT_AUTH_IDENTITY_W; lengths in characters, without the zero at the end. */
export const authIdentity = struct('SEC_WINNT_AUTH_IDENTITY_W', 48, {
  user: u64(0),
  userLength: u32(8),
  domain: u64(16),
  domainLength: u32(24),
  password: u64(32),
  passwordLength: u32(40),
  flags: u32(44),
});
/** SEC_WINNT_AUTH_IDENTITY_UNICODE. */
export const IDENTITY_UNICODE = 2;

/** The addresses of both sides are left out; the application data follow the structure. */
export const secChannelBindings = struct('SEC_CHANNEL_BINDINGS', 32, {
  applicationDataLength: u32(24),
  applicationDataOffset: u32(28),
});

export const contextSizes = struct('SecPkgContext_Sizes', 16, {
  maxToken: u32(0),
  maxSignature: u32(4),
  blockSize: u32(8),
  securityTrailer: u32(12),
});
export const contextSessionKey = struct('SecPkgContext_SessionKey', 16, { length: u32(0), key: u64(8) });
export const contextKeyInfo = struct('SecPkgContext_KeyInfoW', 32, {
  signatureAlgorithmName: u64(0),
  encryptAlgorithmName: u64(8),
  keySize: u32(16),
  signatureAlgorithm: u32(20),
  encryptAlgorithm: u32(24),
});
export const contextNegotiation = struct('SecPkgContext_NegotiationInfoW', 16, {
  packageInfo: u64(0),
  state: u32(8),
});
export const packageInfo = struct('SecPkgInfoW', 32, {
  capabilities: u32(0),
  version: u16(4),
  rpcId: u16(6),
  maxToken: u32(8),
  name: u64(16),
  comment: u64(24),
});

export const BUFFER_TYPE = { data: 1, token: 2, channelBindings: 14 } as const;
export const ATTRIBUTE = { sizes: 0, keyInfo: 5, sessionKey: 9, negotiation: 12 } as const;
/** SECPKG_CRED_OUTBOUND, SECURITY_NATIVE_DREP. */
export const CREDENTIAL_OUTBOUND = 2;
export const NATIVE_DREP = 0x10;
/** The most MaxTokenSize of Windows can be set to is 65535; its default is 48000. */
export const TOKEN_BYTES_MAX = 64 * 1024;
/** SECQOP_WRAP_NO_ENCRYPT: a message that was only signed. */
export const NO_ENCRYPT = 0x8000_0001;

/** ISC_REQ_… and, with the same numbers, ISC_RET_…. */
export const CONTEXT_FLAG = {
  mutual: 0x2,
  replay: 0x4,
  sequence: 0x8,
  confidentiality: 0x10,
  integrity: 0x1_0000,
  nullSession: 0x4_0000,
} as const;

export const STATUS = { ok: 0, continueNeeded: 0x9_0312, unsupportedFunction: 0x8009_0302 } as const;
