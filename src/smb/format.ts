/**
 * The messages of SMB 3.1.1 that this client sends and reads. Section numbers are those of MS-SMB2; docs/protocols/smb.md
 * shows the same tables, and a test compares. Every body begins with a `structureSize` that is fixed for its kind and odd
 * when a variable part follows. Offsets inside bodies count from the start of the header.
 */
import { guid, raw, signature, struct, u16, u32, u64, u64big, u8 } from '../base/index.ts';

/** 2.2.1: first bytes of a plain message. */
export const PLAIN_MESSAGE = signature('\xfeSMB');
/** 2.2.41: first bytes of an encrypted one. */
export const ENCRYPTED_MESSAGE = signature('\xfdSMB');
/** 2.2.3: the one dialect spoken. */
export const DIALECT_311 = 0x0311;
/** 3.2.4.1.5: one credit pays for 64 KiB of payload. */
export const CREDIT_BYTES = 65_536;

/** 2.2.1.2. */
export const COMMAND = {
  NEGOTIATE: 0,
  SESSION_SETUP: 1,
  LOGOFF: 2,
  TREE_CONNECT: 3,
  TREE_DISCONNECT: 4,
  CREATE: 5,
  CLOSE: 6,
  READ: 8,
  ECHO: 13,
} as const;
export type Command = keyof typeof COMMAND;

/** 2.2.1.2, Flags. */
export const HEADER_FLAG = { response: 0x1, async: 0x2, signed: 0x8 } as const;
/** 2.2.3, SecurityMode. */
export const SIGNING = { enabled: 0x1, required: 0x2 } as const;
/**
 * 2.2.3, Capabilities: reads larger than 64 KiB; encryption. The latter is negotiated by a context in 3.1.1, but Samba
 * chooses no cipher for a client without it.
 */
export const CAPABILITY = { largeMtu: 0x4, encryption: 0x40 } as const;
/** 2.2.3.1. */
export const CONTEXT = { preauthIntegrity: 1, encryption: 2 } as const;
/** 2.2.3.1.1. */
export const HASH_SHA512 = 1;
/** 2.2.6, SessionFlags. */
export const SESSION_FLAG = { guest: 0x1, anonymous: 0x2 } as const;
/** 2.2.10. */
export const SHARE_TYPE_DISK = 1;
export const SHARE_FLAG_DFS = 0x3;
export const SHARE_CAPABILITY_DFS = 0x8;
/** 2.2.13.1.1: read data, attributes and the security descriptor, and wait for it. Nothing that could change a file. */
export const READ_ACCESS = 0x00120089;
/** 2.2.13, ShareAccess: read, write, delete. Asking for less would fail while the virtual machine service holds the file. */
export const SHARE_ALL = 0x7;
/** 2.2.13, CreateDisposition: open what exists. */
export const OPEN_EXISTING = 1;
/** 2.2.13, CreateOptions: not a folder. */
export const NON_DIRECTORY = 0x40;
/** 2.2.13, ImpersonationLevel. */
export const IMPERSONATION = 2;
/** 2.2.13.2, QFid: asks for the identity of the file on its volume. */
export const QUERY_ON_DISK_ID = 'QFid';
/** 2.2.14, FileAttributes. */
export const ATTRIBUTE_DIRECTORY = 0x10;

/** 2.2.1.2. With the async flag, bytes 32 to 39 are an id nobody needs here. */
export const messageHeader = struct('SMB2 header', 64, {
  protocolId: u32(0),
  structureSize: u16(4),
  creditCharge: u16(6),
  status: u32(8),
  command: u16(12),
  credits: u16(14),
  flags: u32(16),
  nextCommand: u32(20),
  messageId: u64big(24),
  treeId: u32(36),
  sessionId: u64big(40),
  signature: raw(48, 16),
});

/** 2.2.41. What follows the signature is authenticated with the message. */
export const transformHeader = struct('SMB2 TRANSFORM_HEADER', 52, {
  protocolId: u32(0),
  signature: raw(4, 16),
  nonce: raw(20, 16),
  originalMessageSize: u32(36),
  flags: u16(42),
  sessionId: u64big(44),
});

/** 2.2.3. Dialects and contexts follow. */
export const negotiateRequest = struct('SMB2 NEGOTIATE request', 36, {
  structureSize: u16(0),
  dialectCount: u16(2),
  securityMode: u16(4),
  capabilities: u32(8),
  clientGuid: guid(12),
  contextOffset: u32(28),
  contextCount: u16(32),
});

/** 2.2.4. */
export const negotiateResponse = struct('SMB2 NEGOTIATE response', 64, {
  structureSize: u16(0),
  securityMode: u16(2),
  dialect: u16(4),
  contextCount: u16(6),
  serverGuid: guid(8),
  capabilities: u32(24),
  maxTransactSize: u32(28),
  maxReadSize: u32(32),
  maxWriteSize: u32(36),
  systemTime: u64big(40),
  serverStartTime: u64big(48),
  securityOffset: u16(56),
  securityLength: u16(58),
  contextOffset: u32(60),
});

/** 2.2.3.1. Contexts lie on multiples of 8. */
export const negotiateContext = struct('SMB2 NEGOTIATE_CONTEXT', 8, { type: u16(0), length: u16(2) });

/** 2.2.5. The token follows. */
export const sessionSetupRequest = struct('SMB2 SESSION_SETUP request', 24, {
  structureSize: u16(0),
  flags: u8(2),
  securityMode: u8(3),
  capabilities: u32(4),
  channel: u32(8),
  securityOffset: u16(12),
  securityLength: u16(14),
  previousSessionId: u64big(16),
});

/** 2.2.6. */
export const sessionSetupResponse = struct('SMB2 SESSION_SETUP response', 8, {
  structureSize: u16(0),
  sessionFlags: u16(2),
  securityOffset: u16(4),
  securityLength: u16(6),
});

/** 2.2.9. The path follows. */
export const treeConnectRequest = struct('SMB2 TREE_CONNECT request', 8, {
  structureSize: u16(0),
  flags: u16(2),
  pathOffset: u16(4),
  pathLength: u16(6),
});

/** 2.2.10. */
export const treeConnectResponse = struct('SMB2 TREE_CONNECT response', 16, {
  structureSize: u16(0),
  shareType: u8(2),
  shareFlags: u32(4),
  capabilities: u32(8),
  maximalAccess: u32(12),
});

/** 2.2.13. Name and contexts follow. */
export const createRequest = struct('SMB2 CREATE request', 56, {
  structureSize: u16(0),
  securityFlags: u8(2),
  oplockLevel: u8(3),
  impersonationLevel: u32(4),
  createFlags: u64big(8),
  desiredAccess: u32(24),
  fileAttributes: u32(28),
  shareAccess: u32(32),
  createDisposition: u32(36),
  createOptions: u32(40),
  nameOffset: u16(44),
  nameLength: u16(46),
  contextsOffset: u32(48),
  contextsLength: u32(52),
});

/** 2.2.14. Times are FILETIMEs. */
export const createResponse = struct('SMB2 CREATE response', 88, {
  structureSize: u16(0),
  oplockLevel: u8(2),
  flags: u8(3),
  createAction: u32(4),
  creationTime: u64big(8),
  lastAccessTime: u64big(16),
  lastWriteTime: u64big(24),
  changeTime: u64big(32),
  allocationSize: u64big(40),
  endOfFile: u64big(48),
  fileAttributes: u32(56),
  fileId: raw(64, 16),
  contextsOffset: u32(80),
  contextsLength: u32(84),
});

/** 2.2.13.2. Offsets count from the start of the context; `next` is 0 in the last one. */
export const createContext = struct('SMB2 CREATE_CONTEXT', 16, {
  next: u32(0),
  nameOffset: u16(4),
  nameLength: u16(6),
  dataOffset: u16(10),
  dataLength: u32(12),
});

/** 2.2.14.2.9, the answer to QFid. */
export const onDiskId = struct('SMB2_CREATE_QUERY_ON_DISK_ID response', 32, {
  diskFileId: u64big(0),
  volumeId: u64big(8),
});

/** 2.2.15. */
export const closeRequest = struct('SMB2 CLOSE request', 24, {
  structureSize: u16(0),
  flags: u16(2),
  fileId: raw(8, 16),
});

/** 2.2.19. One byte that means nothing follows: the structure size demands a variable part. */
export const readRequest = struct('SMB2 READ request', 48, {
  structureSize: u16(0),
  padding: u8(2),
  flags: u8(3),
  length: u32(4),
  offset: u64(8),
  fileId: raw(16, 16),
  minimumCount: u32(32),
  channel: u32(36),
  remainingBytes: u32(40),
  channelInfoOffset: u16(44),
  channelInfoLength: u16(46),
});

/** 2.2.20. */
export const readResponse = struct('SMB2 READ response', 16, {
  structureSize: u16(0),
  dataOffset: u8(2),
  dataLength: u32(4),
  dataRemaining: u32(8),
  flags: u32(12),
});

/** 2.2.7, 2.2.11, 2.2.28: LOGOFF, TREE_DISCONNECT and ECHO say nothing more. */
export const emptyRequest = struct('SMB2 empty request', 4, { structureSize: u16(0) });
