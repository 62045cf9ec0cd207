/**
 * The client's part of the negotiation, up to the export being open:
 *
 *   greeting ─► [STARTTLS] ─► STRUCTURED_REPLY ─► SET_META_CONTEXT base:allocation ─► GO
 *
 * Servers without GO (older than 2016) are refused: they say nothing of block sizes, and close the connection instead of
 * giving a reason.
 */
import { isFault } from '../base/index.ts';
import type { NbdAddress } from './address.ts';
import { nbdFaults } from './faults.ts';
import {
  ALLOCATION_CONTEXT,
  blockSizeInfo,
  DEFAULT_MINIMUM_BLOCK,
  DEFAULT_PAYLOAD_BYTES_MAX,
  encodeString,
  exportInfo,
  greeting,
  GREETING_MAGIC,
  HANDSHAKE_FLAG,
  INFO,
  OPTION,
  OPTION_ERROR,
  OPTION_MAGIC,
  OPTION_REPLY,
} from './format.ts';
import type { Link } from './link.ts';
import { ask, broken, isError, lastOf, reasonOf, type OptionReply } from './option-replies.ts';
import type { NbdClientTls } from './tls.ts';

export interface ExportInfo {
  /** Bytes. */
  readonly size: number;
  /** See `EXPORT_FLAG`. */
  readonly flags: number;
  /** Offsets and lengths are multiples of it; a power of two. */
  readonly minimumBlock: number;
  /** Bytes of data in one message. */
  readonly payloadBytesMax: number;
  readonly structured: boolean;
  /** The server's number for `base:allocation`; undefined when it tells nothing of allocation. */
  readonly allocationContext: number | undefined;
}

/** Throws `NBD_EXPORT_REFUSED`, `NBD_TLS_REFUSED`, `NBD_TLS_REQUIRED`, `NBD_PROTOCOL_BROKEN`, `NBD_CONNECTION_LOST`. */
export async function negotiate(link: Link, address: NbdAddress, tls: NbdClientTls): Promise<ExportInfo> {
  try {
    await greet(link);
    if (address.tls) await startTls(link, tls);
    const structured = lastOf(await ask(link, OPTION.structuredReply)).type === OPTION_REPLY.ack;
    const allocationContext = structured ? await chooseContext(link, address.exportName) : undefined;
    return { ...(await go(link, address.exportName)), structured, allocationContext };
  } catch (error) {
    if (isFault(error)) throw error;
    throw nbdFaults.connectionLost(
      { server: link.server, reason: (error as Error).message },
      { cause: error },
    );
  }
}

async function greet(link: Link): Promise<void> {
  const { magic, optionMagic, flags } = greeting.read(await link.inbox.take(greeting.size));
  if (magic !== GREETING_MAGIC) throw broken(link, 'it does not greet as an NBD server');
  if (optionMagic !== OPTION_MAGIC || !(flags & HANDSHAKE_FLAG.fixedNewstyle)) {
    throw broken(link, 'it speaks an older form of NBD than "fixed newstyle"');
  }
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE(HANDSHAKE_FLAG.fixedNewstyle | (flags & HANDSHAKE_FLAG.noZeroes));
  link.send(answer);
}

/** There is no way back to plain text: a server that has no TLS gets nothing of us. */
async function startTls(link: Link, tls: NbdClientTls): Promise<void> {
  const reply = lastOf(await ask(link, OPTION.startTls));
  if (isError(reply)) throw nbdFaults.tlsRefused({ server: link.server, reason: reasonOf(reply) });
  await link.secure(tls);
}

async function chooseContext(link: Link, exportName: string): Promise<number | undefined> {
  const one = Buffer.from([0, 0, 0, 1]);
  const request = Buffer.concat([encodeString(exportName), one, encodeString(ALLOCATION_CONTEXT)]);
  const replies = await ask(link, OPTION.setMetaContext, request);
  if (isError(lastOf(replies))) return undefined; // GO says why, when it is for the export
  const chosen = replies.find(
    ({ type, data }) => type === OPTION_REPLY.metaContext && data.toString('utf8', 4) === ALLOCATION_CONTEXT,
  );
  return chosen?.data.readUInt32BE(0);
}

type Agreed = Pick<ExportInfo, 'size' | 'flags' | 'minimumBlock' | 'payloadBytesMax'>;

async function go(link: Link, exportName: string): Promise<Agreed> {
  const wanted = Buffer.from([0, 1, 0, INFO.blockSize]);
  const replies = await ask(link, OPTION.go, Buffer.concat([encodeString(exportName), wanted]));
  const last = lastOf(replies);
  if (isError(last)) throw refusal(link, exportName, last);
  const info = infoOf(link, replies, INFO.export, exportInfo.size);
  if (!info) throw broken(link, 'it opened the export and did not tell its size');
  const { size, flags } = exportInfo.read(info);
  return { size, flags, ...blockSizes(link, replies) };
}

function refusal(link: Link, name: string, reply: OptionReply): Error {
  const { server } = link;
  if (reply.type === OPTION_ERROR.tlsRequired) return nbdFaults.tlsRequired({ server });
  if (reply.type === OPTION_ERROR.unsupported) return broken(link, 'it does not know the option GO');
  return nbdFaults.exportRefused({ server, name, reason: reasonOf(reply) });
}

function blockSizes(
  link: Link,
  replies: readonly OptionReply[],
): Pick<Agreed, 'minimumBlock' | 'payloadBytesMax'> {
  const info = infoOf(link, replies, INFO.blockSize, blockSizeInfo.size);
  if (!info) return { minimumBlock: DEFAULT_MINIMUM_BLOCK, payloadBytesMax: DEFAULT_PAYLOAD_BYTES_MAX };
  const { minimum, maximum } = blockSizeInfo.read(info);
  const isPowerOfTwo = minimum > 0 && (minimum & (minimum - 1)) === 0;
  if (!isPowerOfTwo || minimum > 65_536 || maximum < minimum) {
    throw broken(link, `block sizes from ${minimum} to ${maximum} bytes`);
  }
  const payloadBytesMax = Math.min(maximum - (maximum % minimum), DEFAULT_PAYLOAD_BYTES_MAX);
  return { minimumBlock: minimum, payloadBytesMax };
}

function infoOf(
  link: Link,
  replies: readonly OptionReply[],
  type: number,
  bytes: number,
): Buffer | undefined {
  const found = replies.find(
    (reply) =>
      reply.type === OPTION_REPLY.info && reply.data.length >= 2 && reply.data.readUInt16BE(0) === type,
  );
  if (found && found.data.length !== bytes)
    throw broken(link, `an information of ${found.data.length} bytes`);
  return found?.data;
}
