/** Options and the answers to them, as a client sees them. */
import { assert } from '../base/index.ts';
import { nbdFaults } from './faults.ts';
import {
  OPTION_ERROR,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  optionHeader,
  optionReply,
} from './format.ts';
import type { Link } from './link.ts';

export interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

/** No answer to an option has more, and none has so many. */
const REPLY_BYTES_MAX = 64 * 1024;
const REPLIES_MAX = 10_000;

/**
 * Sends an option and collects its answers up to the last, which is an acknowledgement or an error. Throws
 * `NBD_PROTOCOL_BROKEN`, and what the inbox throws.
 */
export async function ask(
  link: Link,
  option: number,
  data: Uint8Array = new Uint8Array(0),
): Promise<OptionReply[]> {
  link.send(encodeOption(option, data));
  const replies: OptionReply[] = [];
  for (;;) {
    const reply = await readReply(link, option);
    replies.push(reply);
    if (reply.type === OPTION_REPLY.ack || isError(reply)) return replies;
    if (replies.length > REPLIES_MAX) throw broken(link, 'the answers to an option do not end');
  }
}

export function isError({ type }: OptionReply): boolean {
  return type >= 0x8000_0000;
}

/** What the server gives as reason, or else what its number means. */
export function reasonOf({ type, data }: OptionReply): string {
  const name =
    Object.entries(OPTION_ERROR).find(([, code]) => code === type)?.[0] ?? `error ${type.toString(16)}`;
  const text = data.toString('utf8').replace(/\s+/g, ' ').trim().slice(0, 300);
  return text ? `${text} (${name})` : name;
}

export function lastOf(replies: readonly OptionReply[]): OptionReply {
  const last = replies.at(-1);
  assert(last, 'an option has at least one answer');
  return last;
}

function encodeOption(option: number, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(optionHeader.size + data.length);
  optionHeader.write(bytes, { magic: OPTION_MAGIC, option, length: data.length });
  bytes.set(data, optionHeader.size);
  return bytes;
}

async function readReply(link: Link, option: number): Promise<OptionReply> {
  const head = optionReply.read(await link.inbox.take(optionReply.size));
  if (head.magic !== OPTION_REPLY_MAGIC) throw broken(link, 'an answer to an option does not begin as one');
  if (head.option !== option)
    throw broken(link, `option ${option} was asked and option ${head.option} answered`);
  if (head.length > REPLY_BYTES_MAX) throw broken(link, `an answer to an option has ${head.length} bytes`);
  return { type: head.type, data: await link.inbox.take(head.length) };
}

export function broken({ server }: Pick<Link, 'server'>, reason: string): Error {
  return nbdFaults.protocolBroken({ server, reason });
}
