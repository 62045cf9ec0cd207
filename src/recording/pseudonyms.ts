/**
 * What stands for what: the same original always has the same pseudonym within a recording, two originals never share one, and
 * no pseudonym holds an original. Letter case, length in characters and in bytes, and kind of character stay.
 *
 * Pseudonyms are drawn with a key that is forgotten afterwards: without it, `web01` could be guessed and recognised.
 */
import { createHash, randomBytes } from 'node:crypto';

export type PseudonymKind = 'word' | 'guid' | 'mac' | 'ipv4' | 'ipv6';

/** Shorter originals occur in anything. */
const TELLING_LENGTH = 4;
const DRAWS_MAX = 1000;

interface Entry {
  readonly kind: PseudonymKind;
  /** As first met. */
  readonly original: string;
  pseudonym: string;
}

export class Pseudonyms {
  readonly #key: string;
  readonly #entries = new Map<string, Entry>();
  readonly #taken = new Map<string, string>();

  /** A fixed key is for tests. */
  constructor(key: string = randomBytes(16).toString('hex')) {
    this.#key = key;
  }

  /** How many originals of each kind were replaced. */
  get counts(): Readonly<Record<PseudonymKind, number>> {
    const counts = { word: 0, guid: 0, mac: 0, ipv4: 0, ipv6: 0 };
    for (const { kind } of this.#entries.values()) counts[kind] += 1;
    return counts;
  }

  of(kind: PseudonymKind, original: string): string {
    const id = `${kind} ${folded(kind, original)}`;
    let entry = this.#entries.get(id);
    if (!entry) {
      entry = { kind, original, pseudonym: '' };
      this.#entries.set(id, entry);
      this.#draw(id, entry, () => false);
    }
    return dressed(kind, entry.pseudonym, original);
  }

  /**
   * Once every original is known: draws anew what by chance holds one of them. What was written before is void.
   */
  settle(): void {
    const telling = new Set<string>();
    for (const { kind, original } of this.#entries.values()) {
      if (kind === 'word' && original.length >= TELLING_LENGTH) telling.add(original.toLowerCase());
    }
    for (const [id, entry] of this.#entries) {
      if (entry.kind === 'word') this.#draw(id, entry, (drawn) => holdsAny(drawn, telling));
    }
  }

  #draw(id: string, entry: Entry, isRefused: (pseudonym: string) => boolean): void {
    for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
      const drawn = DRAWN[entry.kind](entry.original, this.#bytes(`${id} ${draw}`), this.#entries.size);
      const owner = `${entry.kind} ${drawn.toLowerCase()}`;
      if ((this.#taken.get(owner) ?? id) !== id || drawn === entry.original.toLowerCase()) continue;
      if (isRefused(drawn)) continue;
      this.#taken.set(owner, id);
      entry.pseudonym = drawn;
      return;
    }
    // Of two letters there are 676 words: when all are taken, another length is better than a shared name.
    entry.pseudonym = `${DRAWN.word(entry.original, this.#bytes(id), 0)}${this.#entries.size}`;
  }

  /** As many bytes as are asked for, the same for the same text. */
  #bytes(text: string): (index: number) => number {
    const blocks: Buffer[] = [];
    return (index) => {
      const block = index >> 5;
      blocks[block] ??= createHash('sha256').update(`${this.#key} ${text} ${block}`).digest();
      return blocks[block][index & 31]!;
    };
  }
}

/** What counts as the same original. */
function folded(kind: PseudonymKind, original: string): string {
  return kind === 'guid' || kind === 'mac'
    ? original.replaceAll(/[^0-9a-f]/gi, '').toLowerCase()
    : original.toLowerCase();
}

type Draw = (original: string, bytes: (index: number) => number, count: number) => string;

const hex: Draw = (original, bytes) =>
  Array.from(original.replaceAll(/[^0-9a-f]/gi, ''))
    .map((_digit, index) => '0123456789abcdef'[bytes(index) & 15]!)
    .join('');

const DRAWN: Readonly<Record<PseudonymKind, Draw>> = {
  word: (original, bytes) =>
    Array.from(original.toLowerCase())
      .map((char, index) => drawnFor(char, bytes(2 * index) * 256 + bytes(2 * index + 1)))
      .join(''),
  guid: hex,
  mac: (original, bytes, count) => `02${hex(original, bytes, count).slice(2)}`,
  // RFC 2544 and RFC 3849: addresses that are nobody's.
  ipv4: (_original, bytes) => `198.${18 + (bytes(0) & 1)}.${bytes(1)}.${bytes(2)}`,
  ipv6: (_original, bytes) => `2001:db8::${((bytes(0) << 8) | bytes(1)).toString(16)}`,
};

/** Without vowels no words come about. */
const LOWER = 'bcdfghjklmnpqrstvwxz';
/** Ranges of small or caseless letters, of as many bytes in UTF-8 as what they stand for. */
const FAR = [
  { below: 0x800, first: 0x250, count: 80 },
  { below: 0x1_0000, first: 0x30a2, count: 80 },
  { below: 0x11_0000, first: 0x2_0000, count: 4096 },
] as const;

function drawnFor(char: string, number: number): string {
  if (char >= '0' && char <= '9') return String(number % 10);
  const code = char.codePointAt(0)!;
  if (code < 0x80) return LOWER[number % LOWER.length]!;
  const { first, count } = FAR.find(({ below }) => code < below)!;
  return String.fromCodePoint(first + (number % count));
}

/** The pseudonym in the case and with the separators of this occurrence. */
function dressed(kind: PseudonymKind, pseudonym: string, original: string): string {
  if (kind === 'ipv4' || kind === 'ipv6') return pseudonym;
  if (kind === 'word') return casedAs(original, pseudonym);
  const digits = Array.from(/[A-F]/.test(original) ? pseudonym.toUpperCase() : pseudonym);
  return original.replaceAll(/[0-9a-f]/gi, () => digits.shift() ?? '0');
}

function casedAs(original: string, pseudonym: string): string {
  const chars = Array.from(original);
  return Array.from(pseudonym)
    .map((char, index) => (/[A-Z]/.test(chars[index] ?? '') ? char.toUpperCase() : char))
    .join('');
}

/** Whether any part of the text is one of the words. Texts are short. */
function holdsAny(text: string, words: ReadonlySet<string>): boolean {
  for (let from = 0; from <= text.length - TELLING_LENGTH; from += 1) {
    for (let to = from + TELLING_LENGTH; to <= text.length; to += 1)
      if (words.has(text.slice(from, to))) return true;
  }
  return false;
}
