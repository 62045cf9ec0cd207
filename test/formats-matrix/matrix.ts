/**
 * One test an image: what was put in = what our reader reads = what the second decoder reads. The other readers are judged
 * meanwhile, and a last test for each of them holds their verdicts against docs/formats/cross-validation.md.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MemoryDisk, Disk } from '../../src/disk/index.ts';
import { FileReader } from '../../src/disk/index.ts';
import type { Extent } from '../../src/extents/index.ts';
import { scratchFolder } from '../../src/chain/scratch.fixture.ts';
import { openVhdChain } from '../../src/vhd/index.ts';
import { checkVhdx, openVhdxChain } from '../../src/vhdx/index.ts';
import { requires, requiresPython } from '../requires.ts';
import { windowsOf } from './content.ts';
import { differenceOf, fingerprintOf, hashOf, within } from './fingerprint.ts';
import type { MatrixImage } from './image.ts';
import { libvhdi, qemu, sevenZip, verdictOn, type Candidate, type Peer } from './peers.ts';
import { PythonReader } from './python-reader.ts';
import { PEERS, Verdicts, type PeerName } from './verdicts.ts';

const folder = scratchFolder();
const SEED = Number(process.env['SEED'] ?? 1);
const RANGES = 16;

const NEEDS: Record<PeerName, { skip?: string }> = {
  qemu: requires(['qemu-img', 'qemu-io'], 'what qemu makes of the images'),
  libvhdi: requiresPython(['pyvhdi', 'pyvmdk'], 'what libvhdi makes of the images'),
  '7-Zip': requires(['7zz'], 'what 7-Zip makes of the images'),
};

/** Registers the tests of `images`, then those of the table. */
export function matrix(images: readonly MatrixImage[]): void {
  const readers: Partial<Record<'decoder' | 'library', PythonReader>> = {};
  const verdicts = PEERS.map((peer) => [peer, new Verdicts(peer)] as const);
  before(() => {
    console.log(`seed ${SEED}, ${images.length} images`);
    readers.decoder = new PythonReader('second-decoder.py');
    if (!NEEDS.libvhdi.skip) readers.library = new PythonReader('library-reader.py');
  });
  after(async () => {
    for (const reader of Object.values(readers)) await reader[Symbol.asyncDispose]();
  });
  for (const image of images) {
    const needs = /of qemu/.test(image.name) ? NEEDS.qemu : {};
    void test(image.name, { ...needs }, async () => {
      const { candidate, ...rest } = await make(image);
      const peers: Record<PeerName, Peer | undefined> = {
        qemu,
        libvhdi: readers.library && libvhdi(readers.library),
        '7-Zip': sevenZip,
      };
      const judged = verdicts.map(async ([peer, seen]) => {
        const answer = NEEDS[peer].skip ? undefined : await peers[peer]!(candidate);
        if (answer) seen.add(image, verdictOn(answer, candidate));
      });
      await Promise.all([assertAgreed(candidate, rest, readers.decoder!), ...judged]);
      rmSync(join(folder, 'image'), { recursive: true });
    });
  }
  for (const [peer, seen] of verdicts) {
    void test(
      `docs/formats/cross-validation.md says what ${peer} makes of these images`,
      { ...NEEDS[peer] },
      () => {
        assert.deepEqual(seen.contradictions(), []);
      },
    );
  }
}

interface Looks {
  /** What the slow decoder looks at; absent: all. */
  readonly walked: readonly Extent[] | undefined;
  readonly ranges: readonly Extent[];
}

async function make(image: MatrixImage): Promise<Looks & { candidate: Candidate }> {
  const home = join(folder, 'image');
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home);
  const { files, content, narrow = false } = await image.make(home);
  const windows = windowsOf(content);
  const candidate = { format: image.format, files, expected: await fingerprintOf(content), windows };
  return { candidate, walked: narrow ? windows : undefined, ranges: randomRanges(content) };
}

/** Both decoders read what was put in, and the same in every range. */
async function assertAgreed(
  { format, files, expected }: Candidate,
  { walked, ranges }: Looks,
  decoder: PythonReader,
): Promise<void> {
  for (const file of format === 'vhdx' ? files : []) {
    const { sound, findings } = await checkVhdx(file);
    assert.ok(sound, JSON.stringify(findings));
  }
  const answer = await decoder.ask({ format, files, windows: walked, ranges });
  assert.ok(!('refused' in answer), `the second decoder refuses it: ${JSON.stringify(answer)}`);
  assert.equal(differenceOf(answer, within(expected, walked)), undefined, 'second decoder and content');
  const disk = await openDisk(format, files[0]!);
  try {
    assert.equal(
      differenceOf(await fingerprintOf(disk, walked), within(expected, walked)),
      undefined,
      'ours',
    );
    for (const [n, { offset, length }] of ranges.entries()) {
      const bytes = Buffer.alloc(length, 0xee);
      await disk.read(offset, bytes);
      assert.equal(hashOf(bytes), answer.ranges![n], `${length} bytes at ${offset}`);
    }
  } finally {
    await disk.close();
  }
}

function openDisk(format: MatrixImage['format'], path: string): Promise<Disk> {
  const open = (each: string): Promise<FileReader> => FileReader.open(each);
  return format === 'vhdx' ? openVhdxChain(path, { open }) : openVhdChain(path, { open });
}

let x = SEED | 1;

/** xorshift32: the same ranges for the same seed. */
function random(below: number): number {
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  return Math.floor(((x >>> 0) / 2 ** 32) * below);
}

/** Ranges of any alignment, most of them where data is; the last byte among them. */
function randomRanges(content: MemoryDisk): Extent[] {
  const data = [...content.allocated()];
  const ranges = Array.from({ length: RANGES }, (_, n) => {
    const near = n % 4 === 0 ? undefined : data[random(data.length)];
    const at = near ? near.offset + random(near.length) - 5000 : random(content.size);
    return { offset: Math.min(Math.max(0, at), content.size - 1), length: 1 + random(20_000) };
  });
  return [...ranges, { offset: content.size - 1, length: 1 }].map(({ offset, length }) => ({
    offset,
    length: Math.min(length, content.size - offset),
  }));
}
