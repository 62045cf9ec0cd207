/**
 * SFTP version 3 as OpenSSH speaks it: draft-ietf-secsh-filexfer-02. All numbers are big-endian; a string is its length in
 * four bytes and its bytes. In front of each message: the length of what follows.
 */
export const VERSION = 3;

export const REQUEST = {
  INIT: 1,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  STAT: 17,
  RENAME: 18,
  EXTENDED: 200,
} as const;
export type RequestName = keyof typeof REQUEST;

export const ANSWER = {
  VERSION: 2,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
} as const;

/** Section 7. */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
} as const;

export const STATUS_NAMES: readonly string[] = [
  'OK',
  'end of file',
  'no such file',
  'permission denied',
  'failure',
  'bad message',
  'no connection',
  'connection lost',
  'operation unsupported',
];

/** Section 6.3. Files of a host are only ever read; those of a repository are written once, and made by nobody else. */
export const OPEN_FOR_READING = 0x1;
export const OPEN_NEW_FOR_WRITING = 0x2 | 0x8 | 0x20;

/** OpenSSH's PROTOCOL, section 4: the answer comes when the file's bytes are on the server's disk. */
export const FSYNC = 'fsync@openssh.com';

/** Section 5: which attributes are there. */
export const ATTRIBUTE = {
  size: 0x1,
  owners: 0x2,
  permissions: 0x4,
  times: 0x8,
  extended: 0x8000_0000,
} as const;

/** The kind of a file, in its permissions as POSIX has them. */
export const KIND_MASK = 0o170_000;
export const KIND_FILE = 0o100_000;
export const KIND_FOLDER = 0o040_000;

/** Section 6.4 allows 256 bytes. */
export const HANDLE_BYTES_MAX = 256;
/** The most an answer may have, data of a read apart: OpenSSH sends and takes no more. */
export const ANSWER_BYTES_MAX = 256 * 1024;
