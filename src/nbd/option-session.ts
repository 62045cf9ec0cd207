/**
 * The server's part of the negotiation. Ends with the export that the client opened, or with nothing when it left.
 *
 * A client is believed nothing: options are small or refused, names are text, and who talks without end is cut off.
 */
import {
  ALLOCATION_CONTEXT,
  blockSizeInfo,
  exportInfo,
  EXPORT_FLAG,
  encodeString,
  exportNameAnswer,
  EXPORT_NAME_ZEROES,
  greeting,
  GREETING_MAGIC,
  HANDSHAKE_FLAG,
  INFO,
  OPTION,
  OPTION_ERROR,
  OPTION_MAGIC,
  OPTION_REPLY,
  OPTION_REPLY_MAGIC,
  optionHeader,
  optionReply,
  DEFAULT_PAYLOAD_BYTES_MAX,
  STRING_BYTES_MAX,
} from './format.ts';
import type { ServedDisk } from './served-disk.ts';
import type { NbdServerTls } from './tls.ts';
import type { Wire } from './wire.ts';

export interface OptionRules {
  readonly names: readonly string[];
  find(name: string): ServedDisk | undefined;
  readonly tls: NbdServerTls | undefined;
}

/** What was agreed. */
export interface Opened {
  readonly served: ServedDisk;
  readonly structured: boolean;
  /** The client may ask for block status. */
  readonly status: boolean;
}

const OPTION_BYTES_MAX = 64 * 1024;
const OPTIONS_MAX = 1000;
/** A reason that quotes a name of 4096 bytes is longer than a string may be, and libnbd gives such a server up. */
const REASON_LENGTH_MAX = 500;
/** Our number for `base:allocation`; any would do. */
export const ALLOCATION_CONTEXT_ID = 1;
const PREFERRED_BLOCK = 64 * 1024;

interface Option {
  readonly code: number;
  readonly data: Buffer;
}

export class OptionSession {
  readonly #wire: Wire;
  readonly #rules: OptionRules;
  #noZeroes = false;
  #structured = false;
  /** The export whose block status the client asked for. */
  #statusOf: string | undefined;

  constructor(wire: Wire, rules: OptionRules) {
    this.#wire = wire;
    this.#rules = rules;
  }

  /** Undefined when the client said good-bye. Throws what makes no sense, after which there is nothing more to say. */
  async run(): Promise<Opened | undefined> {
    await this.#greet();
    for (let count = 0; count < OPTIONS_MAX; count += 1) {
      const option = await this.#readOption();
      if (option.code === OPTION.abort) {
        this.#reply(option, OPTION_REPLY.ack);
        return undefined;
      }
      const opened = await this.#answer(option);
      if (opened) return opened;
    }
    throw new Error('a client that negotiates without end');
  }

  async #greet(): Promise<void> {
    const { fixedNewstyle, noZeroes } = HANDSHAKE_FLAG;
    const bytes = Buffer.alloc(greeting.size);
    greeting.write(bytes, {
      magic: GREETING_MAGIC,
      optionMagic: OPTION_MAGIC,
      flags: fixedNewstyle | noZeroes,
    });
    this.#wire.send(bytes);
    const flags = (await this.#wire.inbox.take(4)).readUInt32BE(0);
    if (!(flags & fixedNewstyle) || flags & ~(fixedNewstyle | noZeroes))
      throw new Error(`client flags ${flags}`);
    this.#noZeroes = (flags & noZeroes) !== 0;
  }

  async #readOption(): Promise<Option> {
    const { magic, option, length } = optionHeader.read(await this.#wire.inbox.take(optionHeader.size));
    if (magic !== OPTION_MAGIC) throw new Error('an option that does not begin as one');
    if (length > OPTION_BYTES_MAX) throw new Error(`an option of ${length} bytes`);
    return { code: option, data: await this.#wire.inbox.take(length) };
  }

  async #answer(option: Option): Promise<Opened | undefined> {
    const { code, data } = option;
    if (this.#rules.tls && !this.#wire.isSecure && code !== OPTION.startTls) this.#wantTls(option);
    else if (code === OPTION.startTls) await this.#startTls(option);
    else if (code === OPTION.exportName) return this.#exportName(data.toString('utf8'));
    else if (code === OPTION.list) this.#list(option);
    else if (code === OPTION.structuredReply) this.#structuredReply(option);
    else if (code === OPTION.listMetaContext || code === OPTION.setMetaContext) this.#contexts(option);
    else if (code === OPTION.info || code === OPTION.go) return this.#info(option);
    else this.#refuse(option, OPTION_ERROR.unsupported, 'unknown option');
    return undefined;
  }

  #wantTls(option: Option): void {
    // EXPORT_NAME has no way to say no but to close.
    if (option.code === OPTION.exportName) throw new Error('a client without TLS');
    this.#refuse(option, OPTION_ERROR.tlsRequired, 'this server wants TLS');
  }

  async #startTls(option: Option): Promise<void> {
    const { tls } = this.#rules;
    if (option.data.length > 0) return this.#refuse(option, OPTION_ERROR.invalid, 'STARTTLS has no data');
    if (this.#wire.isSecure) return this.#refuse(option, OPTION_ERROR.invalid, 'TLS is on already');
    if (!tls) return this.#refuse(option, OPTION_ERROR.policy, 'this server has no TLS');
    this.#reply(option, OPTION_REPLY.ack);
    await this.#wire.secure(tls);
    // Whatever was agreed in plain text, anybody could have asked for.
    this.#structured = false;
    this.#statusOf = undefined;
  }

  #list(option: Option): void {
    if (option.data.length > 0) return this.#refuse(option, OPTION_ERROR.invalid, 'LIST has no data');
    for (const name of this.#rules.names) this.#reply(option, OPTION_REPLY.server, encodeString(name));
    this.#reply(option, OPTION_REPLY.ack);
  }

  #structuredReply(option: Option): void {
    if (option.data.length > 0)
      return this.#refuse(option, OPTION_ERROR.invalid, 'STRUCTURED_REPLY has no data');
    this.#structured = true;
    this.#reply(option, OPTION_REPLY.ack);
  }

  #exportName(name: string): Opened {
    const served = this.#rules.find(name);
    if (!served) throw new Error(`no export "${name}"`);
    const zeroes = this.#noZeroes ? 0 : EXPORT_NAME_ZEROES;
    const bytes = Buffer.alloc(exportNameAnswer.size + zeroes);
    exportNameAnswer.write(bytes, { size: served.disk.size, flags: flagsOf(served, this.#structured) });
    this.#wire.send(bytes);
    return this.#opened(name, served);
  }

  #info(option: Option): Opened | undefined {
    const wanted = parseInfo(option.data);
    const served = wanted && this.#rules.find(wanted.name);
    if (!served) {
      if (wanted) this.#refuse(option, OPTION_ERROR.unknownExport, `no export "${wanted.name}"`);
      else this.#refuse(option, OPTION_ERROR.invalid, 'it cannot be read');
      return undefined;
    }
    this.#reply(option, OPTION_REPLY.info, this.#exportInfo(served));
    this.#reply(option, OPTION_REPLY.info, blockSizes());
    if (served.description !== undefined && wanted.types.includes(INFO.description)) {
      const type = Buffer.from([0, INFO.description]);
      this.#reply(option, OPTION_REPLY.info, Buffer.concat([type, Buffer.from(served.description, 'utf8')]));
    }
    this.#reply(option, OPTION_REPLY.ack);
    return option.code === OPTION.go ? this.#opened(wanted.name, served) : undefined;
  }

  #exportInfo(served: ServedDisk): Buffer {
    const bytes = Buffer.alloc(exportInfo.size);
    const flags = flagsOf(served, this.#structured);
    exportInfo.write(bytes, { type: INFO.export, size: served.disk.size, flags });
    return bytes;
  }

  #contexts(option: Option): void {
    if (option.code === OPTION.setMetaContext) this.#statusOf = undefined;
    const asked = parseContexts(option.data);
    if (!asked || !this.#structured)
      return this.#refuse(option, OPTION_ERROR.invalid, 'it cannot be read, or too early');
    if (!this.#rules.find(asked.name)) {
      return this.#refuse(option, OPTION_ERROR.unknownExport, `no export "${asked.name}"`);
    }
    if (matches(asked.queries, option.code === OPTION.listMetaContext)) {
      const id = Buffer.from([0, 0, 0, ALLOCATION_CONTEXT_ID]);
      this.#reply(
        option,
        OPTION_REPLY.metaContext,
        Buffer.concat([id, Buffer.from(ALLOCATION_CONTEXT, 'utf8')]),
      );
      if (option.code === OPTION.setMetaContext) this.#statusOf = asked.name;
    }
    this.#reply(option, OPTION_REPLY.ack);
  }

  #opened(name: string, served: ServedDisk): Opened {
    return { served, structured: this.#structured, status: this.#statusOf === name };
  }

  #refuse(option: Option, error: number, text: string): void {
    this.#reply(option, error, Buffer.from(text.slice(0, REASON_LENGTH_MAX), 'utf8'));
  }

  #reply({ code }: Option, type: number, data: Buffer = Buffer.alloc(0)): void {
    const bytes = Buffer.alloc(optionReply.size);
    optionReply.write(bytes, { magic: OPTION_REPLY_MAGIC, option: code, type, length: data.length });
    this.#wire.send(Buffer.concat([bytes, data]));
  }
}

/** All connections share one disk and one writer, so each sees what the others wrote, and a flush covers them all. */
export function flagsOf({ writer }: ServedDisk, structured: boolean): number {
  const { hasFlags, readOnly, sendFlush, sendFua, sendTrim, sendWriteZeroes, sendDf, canMultiConn } =
    EXPORT_FLAG;
  const always = hasFlags | canMultiConn | (structured ? sendDf : 0);
  return always | (writer ? sendFlush | sendFua | sendTrim | sendWriteZeroes : readOnly);
}

function blockSizes(): Buffer {
  const bytes = Buffer.alloc(blockSizeInfo.size);
  blockSizeInfo.write(bytes, {
    type: INFO.blockSize,
    minimum: 1,
    preferred: PREFERRED_BLOCK,
    maximum: DEFAULT_PAYLOAD_BYTES_MAX,
  });
  return bytes;
}

function matches(queries: readonly string[], isList: boolean): boolean {
  if (isList && queries.length === 0) return true;
  return queries.some((query) => query === ALLOCATION_CONTEXT || (isList && query === 'base:'));
}

/** Reads length and text at `at`; undefined when it does not fit. */
function stringAt(data: Buffer, at: number): { text: string; end: number } | undefined {
  if (at + 4 > data.length) return undefined;
  const end = at + 4 + data.readUInt32BE(at);
  if (end > data.length || end - at - 4 > STRING_BYTES_MAX) return undefined;
  return { text: data.toString('utf8', at + 4, end), end };
}

function parseInfo(data: Buffer): { name: string; types: number[] } | undefined {
  const name = stringAt(data, 0);
  if (!name || name.end + 2 > data.length) return undefined;
  const count = data.readUInt16BE(name.end);
  if (name.end + 2 + 2 * count !== data.length) return undefined;
  const types = Array.from({ length: count }, (_, index) => data.readUInt16BE(name.end + 2 + 2 * index));
  return { name: name.text, types };
}

function parseContexts(data: Buffer): { name: string; queries: string[] } | undefined {
  const name = stringAt(data, 0);
  if (!name || name.end + 4 > data.length) return undefined;
  const count = data.readUInt32BE(name.end);
  const queries: string[] = [];
  let at = name.end + 4;
  for (let index = 0; index < count; index += 1) {
    const query = stringAt(data, at);
    if (!query) return undefined;
    queries.push(query.text);
    at = query.end;
  }
  return at === data.length ? { name: name.text, queries } : undefined;
}
