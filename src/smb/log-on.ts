/**
 * From a bare connection to an encrypted session: NEGOTIATE, then SESSION_SETUP until both sides are sure of each other.
 * MS-SMB2 3.2.5.2, 3.2.5.3.
 *
 * Everything up to here is in the clear, so everything is hashed: the keys depend on the hash, and the last answer is
 * signed with one of them. Guests have no key, hence no encryption, and are turned away.
 */
import { newGuid, type Fault } from '../base/index.ts';
import { isSigned } from './cmac.ts';
import type { SmbConnection } from './connection.ts';
import { smbFaults } from './faults.ts';
import { DIALECT_311, messageHeader } from './format.ts';
import { Malformed, type Reply } from './message.ts';
import { readNegotiate, writeNegotiate, type Agreement } from './negotiate.ts';
import { READ_OVERHEAD_BYTES } from './read.ts';
import type { SecurityContext } from './security-context.ts';
import { deriveSessionKeys, PreauthHash } from './session-keys.ts';
import { readSessionSetup, writeSessionSetup } from './session-setup.ts';
import { mechanismList, readAnswer, writeFirst, writeNext, type SpnegoAnswer } from './spnego.ts';
import { statusName, STATUS } from './status.ts';
import { Sealing } from './transform.ts';

/** Rounds of tokens; NTLM needs two, Kerberos one or two. */
const ROUNDS_MAX = 4;
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
  const reply = await exchangeTokens(connection, security, hash, user);
  const sessionKey = await acceptFinal(connection, security, reply, user);
  const keys = deriveSessionKeys(cipher, sessionKey, hash.value);
  if (!isSigned(keys.signing, reply.bytes)) throw smbFaults.tampered({ host: connection.target.host });
  const readBytesMax = Math.min(READ_BYTES_MAX, Math.max(maxReadSize, 1));
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
  security: SecurityContext,
  hash: PreauthHash,
  user: string,
): Promise<Reply> {
  const observe = (message: Uint8Array): void => hash.add(message);
  let token = writeFirst(security.mechanism, await demanded(security.step()));
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
    const answer = readAnswer(readSessionSetup(reply.bytes).token);
    checkMechanism(security, answer);
    if (!answer.token) throw new Malformed('it wants more of the log-on but says nothing');
    const next = await demanded(security.step(answer.token));
    token = writeNext(next, security.sign(mechanismList(security.mechanism)));
  }
  throw new Malformed('a log-on without end');
}

/** The session key, once the server's last token and MIC are checked. Kerberos learns its key from that token. */
async function acceptFinal(
  connection: SmbConnection,
  security: SecurityContext,
  reply: Reply,
  user: string,
): Promise<Uint8Array> {
  const { host } = connection.target;
  const { token, guest } = readSessionSetup(reply.bytes);
  if (guest) throw smbFaults.guestRefused({ host, user });
  const { sessionId } = messageHeader.read(reply.bytes);
  if (connection.sessionId === 0n) connection.enterSession(sessionId);
  if (sessionId === 0n || sessionId !== connection.sessionId) throw new Malformed('another session id');
  const answer = token.length === 0 ? undefined : readAnswer(token);
  if (answer) checkMechanism(security, answer);
  if (answer?.token) await security.step(answer.token);
  const { sessionKey } = security;
  if (!sessionKey || sessionKey.length < 16) throw new Malformed('the log-on ended without a key');
  if (answer?.mic && !security.verify(mechanismList(security.mechanism), answer.mic)) {
    throw smbFaults.tampered({ host });
  }
  return sessionKey;
}

function checkMechanism(security: SecurityContext, { mechanism, state }: SpnegoAnswer): void {
  if (state === 'reject') throw new Malformed('it rejects the log-on mechanism without saying so');
  if (mechanism && Buffer.compare(mechanism, security.mechanism) !== 0) {
    throw new Malformed('it chose a log-on mechanism that was not offered');
  }
}

async function demanded(step: Promise<Uint8Array | undefined>): Promise<Uint8Array> {
  const token = await step;
  if (!token) throw new Malformed('it asks for more log-on tokens than there are');
  return token;
}

function logonFault(connection: SmbConnection, status: number, user: string): Fault {
  const { host } = connection.target;
  const reason = statusName(status);
  if (status === STATUS.NO_LOGON_SERVERS) return smbFaults.logonUnavailable({ host, user, reason });
  const temporary = status === STATUS.INSUFFICIENT_RESOURCES || status === STATUS.REQUEST_NOT_ACCEPTED;
  return temporary
    ? smbFaults.serverFailed({ host, command: 'SESSION_SETUP', status: reason })
    : smbFaults.logonFailed({ host, user, reason });
}
