/**
 * From a bare connection to an encrypted session: NEGOTIATE, then SESSION_SETUP until both sides are sure of each other.
 * MS-SMB2 3.2.5.2, 3.2.5.3.
 *
 * Everything up to here is in the clear, so everything is hashed: the keys depend on the hash, and the last answer is
 * signed with one of them. Guests have no key, hence no encryption, and are turned away.
 */
import { tokensOf, type LogOnTokens, type SecurityContext } from '../auth/index.ts';
import { newGuid, type Fault } from '../base/index.ts';
import { isSigned } from './cmac.ts';
import type { SmbConnection } from './connection.ts';
import { smbFaults } from './faults.ts';
import { DIALECT_311, messageHeader } from './format.ts';
import { Malformed, type Reply } from './message.ts';
import { readNegotiate, writeNegotiate, type Agreement } from './negotiate.ts';
import { READ_OVERHEAD_BYTES } from './read.ts';
import { deriveSessionKeys, PreauthHash } from './session-keys.ts';
import { readSessionSetup, writeSessionSetup } from './session-setup.ts';
import { statusName, STATUS } from './status.ts';
import { Sealing } from './transform.ts';

/** Rounds of tokens; NTLM needs two, Kerberos one or two. */
const ROUNDS_MAX = 4;
/** 3.2.5.2: a server that takes less is not worth a connection; it could make a terabyte of a backup single bytes. */
const READ_BYTES_MIN = 4096;
/** The largest read asked for: with fewer, larger ones memory grows and nothing is faster. */
const READ_BYTES_MAX = 1024 * 1024;

/** Resolves with the largest read the session takes, in bytes. `user` is for messages. */
export async function logOn(
  connection: SmbConnection,
  security: SecurityContext,
  user: string,
): Promise<{ readBytesMax: number }> {
  const hash = new PreauthHash();
  const { cipher, maxReadSize } = await negotiate(connection, hash);
  const tokens = tokensOf(security, true);
  const reply = await exchangeTokens(connection, tokens, hash, user);
  await acceptFinal(connection, tokens, reply, user);
  const { sessionKey } = security;
  if (!sessionKey || sessionKey.length < 16) throw new Malformed('the log-on ended without a key');
  const keys = deriveSessionKeys(cipher, sessionKey, hash.value);
  if (!isSigned(keys.signing, reply.bytes)) throw smbFaults.tampered({ host: connection.target.host });
  const readBytesMax = Math.min(READ_BYTES_MAX, maxReadSize);
  connection.protect(new Sealing(keys, connection.sessionId), readBytesMax + READ_OVERHEAD_BYTES);
  return { readBytesMax };
}

async function negotiate(
  connection: SmbConnection,
  hash: PreauthHash,
): Promise<Agreement & { cipher: NonNullable<Agreement['cipher']> }> {
  const { host } = connection.target;
  const observe = (message: Uint8Array): void => hash.add(message);
  const reply = await connection.request({ command: 'NEGOTIATE', body: writeNegotiate(newGuid()), observe });
  hash.add(reply.bytes);
  if (reply.status !== STATUS.SUCCESS) throw negotiationFault(host, reply.status);
  const agreement = readNegotiate(reply.bytes);
  const { cipher, dialect } = agreement;
  if (dialect !== DIALECT_311) {
    throw smbFaults.dialectRefused({ host, reason: `it chose 0x${dialect.toString(16)}` });
  }
  if (!cipher) throw smbFaults.encryptionRefused({ host, reason: 'it agreed to no cipher' });
  if (agreement.maxReadSize < READ_BYTES_MIN)
    throw new Malformed(`reads of ${agreement.maxReadSize} bytes at most`);
  return { ...agreement, cipher };
}

function negotiationFault(host: string, status: number): Fault {
  const reason = statusName(status);
  return status === STATUS.NOT_SUPPORTED || status === STATUS.INVALID_PARAMETER
    ? smbFaults.dialectRefused({ host, reason })
    : smbFaults.serverFailed({ host, command: 'NEGOTIATE', status: reason });
}

/** The answer that completed the log-on; it is signed, and the one message that is not hashed. */
async function exchangeTokens(
  connection: SmbConnection,
  tokens: LogOnTokens,
  hash: PreauthHash,
  user: string,
): Promise<Reply> {
  const observe = (message: Uint8Array): void => hash.add(message);
  let token = await tokens.first();
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const reply = await connection.request({
      command: 'SESSION_SETUP',
      body: writeSessionSetup(token),
      observe,
    });
    if (reply.status === STATUS.SUCCESS) return reply;
    if (reply.status !== STATUS.MORE_PROCESSING_REQUIRED) throw logonFault(connection, reply.status, user);
    hash.add(reply.bytes);
    if (round === 0) connection.enterSession(messageHeader.read(reply.bytes).sessionId);
    token = await tokens.next(readSessionSetup(reply.bytes).token);
  }
  throw new Malformed('a log-on without end');
}

/** Checks the server's last token and MIC. Kerberos learns its key from that token. */
async function acceptFinal(
  connection: SmbConnection,
  tokens: LogOnTokens,
  reply: Reply,
  user: string,
): Promise<void> {
  const { host } = connection.target;
  const { token, guest } = readSessionSetup(reply.bytes);
  if (guest) throw smbFaults.guestRefused({ host, user });
  const { sessionId } = messageHeader.read(reply.bytes);
  if (connection.sessionId === 0n) connection.enterSession(sessionId);
  if (sessionId === 0n || sessionId !== connection.sessionId) throw new Malformed('another session id');
  if (token.length > 0 && !(await tokens.finish(token))) throw smbFaults.tampered({ host });
}

function logonFault(connection: SmbConnection, status: number, user: string): Fault {
  const { host } = connection.target;
  const reason = statusName(status);
  if (status === STATUS.NO_LOGON_SERVERS) return smbFaults.logonUnavailable({ host, user, reason });
  const temporary = status === STATUS.INSUFFICIENT_RESOURCES || status === STATUS.REQUEST_NOT_ACCEPTED;
  return temporary
    ? smbFaults.serverFailed({ host, command: 'SESSION_SETUP', status: reason })
    : smbFaults.logonFailed({ host, user, reason: refusalOf(status) });
}

/** Why an account was refused; a server that wants to tell strangers nothing says it of everything as a wrong password. */
const REFUSALS: Readonly<Record<number, string>> = {
  [STATUS.LOGON_FAILURE]: 'wrong user name or password',
  [STATUS.NO_SUCH_USER]: 'it knows no such user',
  [STATUS.WRONG_PASSWORD]: 'wrong password',
  [STATUS.ACCOUNT_RESTRICTION]: 'the account may not log on like this',
  [STATUS.INVALID_LOGON_HOURS]: 'the account may not log on at this time',
  [STATUS.PASSWORD_EXPIRED]: 'the password has expired',
  [STATUS.PASSWORD_MUST_CHANGE]: 'the password must be changed first',
  [STATUS.ACCOUNT_DISABLED]: 'the account is disabled',
  [STATUS.ACCOUNT_LOCKED_OUT]: 'the account is locked',
  [STATUS.LOGON_TYPE_NOT_GRANTED]: 'the account may not log on over the network',
};

function refusalOf(status: number): string {
  const words = REFUSALS[status];
  return words === undefined ? statusName(status) : `${words} (${statusName(status)})`;
}
