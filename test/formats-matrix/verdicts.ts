/** docs/formats/cross-validation.md: what each other reader makes of each kind of image. */
import { readFileSync } from 'node:fs';
import type { MatrixImage } from './image.ts';
import type { Verdict } from './peers.ts';

export const PEERS = ['qemu', 'libvhdi', '7-Zip'] as const;
export type PeerName = (typeof PEERS)[number];

const DOCUMENT = new URL('../../docs/formats/cross-validation.md', import.meta.url);
const NOT_ASKED = '–';

/** Cells of the table under `## heading`, by its first column and the peer. */
function table(heading: string): Map<string, Record<PeerName, string>> {
  const section = readFileSync(DOCUMENT, 'utf8')
    .split(/^## /m)
    .find((part) => part.startsWith(`${heading}\n`));
  const rows = [...(section ?? '').matchAll(/^\| (.+) \|$/gm)].map((match) => match[1]!.split('|'));
  return new Map(
    rows.slice(2).map(([name, ...cells]) => {
      const byPeer = PEERS.map((peer, n) => [peer, cells[n]!.trim()] as const);
      return [name!.trim(), Object.fromEntries(byPeer) as Record<PeerName, string>];
    }),
  );
}

/** What each image was for one peer. */
export class Verdicts {
  readonly #peer: PeerName;
  readonly #seen = new Map<MatrixImage, Verdict>();

  constructor(peer: PeerName) {
    this.#peer = peer;
  }

  add(image: MatrixImage, verdict: Verdict): void {
    this.#seen.set(image, verdict);
  }

  /** Where the document says something else, and what of it was not seen. */
  contradictions(): string[] {
    const traits = table('Images');
    const refusals = table('What is refused whatever the image');
    const used = new Set<string>();
    const wrong: string[] = [];
    for (const [image, verdict] of this.#seen) {
      const modifier = image.modifiers?.find((each) => refusals.get(each)?.[this.#peer] === 'refuses');
      const row = modifier ?? image.trait;
      const expected = modifier ? 'refuses' : traits.get(image.trait)?.[this.#peer];
      used.add(row);
      // As true of the trait, although something else in the image would be enough for it.
      if (verdict === traits.get(image.trait)?.[this.#peer]) used.add(image.trait);
      if (verdict !== expected) wrong.push(`${image.name}: ${verdict}; ${row}: ${expected}`);
    }
    for (const [row, cells] of [...traits, ...refusals]) {
      const says = !['as below', NOT_ASKED].includes(cells[this.#peer]);
      if (says && !used.has(row)) wrong.push(`${row}: ${cells[this.#peer]}, but never seen`);
    }
    return wrong;
  }
}
