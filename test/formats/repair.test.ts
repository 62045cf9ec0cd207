/**
 * Check and repair of changed VHDX files: a check says "sound" of exactly those that open; a repair leaves a file in which a
 * check finds nothing and which reads as before, or says why it cannot and leaves nothing.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isFault } from '../../src/base/index.ts';
import { FileReader } from '../../src/disk/index.ts';
import { checkDisk, repairDisk, type DiskCheckRecord } from '../../src/flows/index.ts';
import { repairVhdx } from '../../src/vhdx/index.ts';
import { openVirtualDisk } from '../../src/virtualdisk/index.ts';
import { Random } from './random.ts';
import { applyTo, draw, type Mutant, type Subject } from './subject.ts';
import { vhdxSubjects } from './vhdx-subjects.ts';

const SEED = 20_261_123;
const TRIALS = 240;
const folder = mkdtempSync(join(tmpdir(), 'hvlift-repair-'));
after(() => rmSync(folder, { recursive: true }));
const changed = join(folder, 'changed.vhdx');
const copy = join(folder, 'copy.vhdx');
let subjects: Subject[];

before(async () => {
  const all = await vhdxSubjects(folder);
  subjects = all.filter(({ path, files, image }) => files.get(path) === image);
});

/** What is changed is a file of its own, beside its parent. */
function writeChanged({ image }: Subject, mutants: readonly Mutant[]): void {
  applyTo(image, mutants);
  writeFileSync(changed, image.bytes.subarray(0, image.size));
  image.revert();
}

type Content = Buffer | { readonly code: string };

/** The first and the last MiB: a size that was changed may be anything. */
async function contentOf(path: string): Promise<Content> {
  try {
    const { disk } = await openVirtualDisk(path, { open: (name) => FileReader.open(name) });
    const bytes = Buffer.alloc(2 * Math.min(disk.size, 2 ** 20), 0xee);
    await disk.read(0, bytes.subarray(0, bytes.length / 2));
    await disk.read(disk.size - bytes.length / 2, bytes.subarray(bytes.length / 2));
    await disk.close();
    return bytes;
  } catch (error) {
    assert.ok(isFault(error) && error.kind !== 'bug', String(error));
    return { code: error.code };
  }
}

/** Codes of faults that are about other files of the chain, at which a check of one file does not look. */
const OF_THE_CHAIN = /PARENT_MISSING|PARENT_MISMATCH|CHAIN_CYCLE|SECTOR_SIZES_DIFFER/;

async function checked(path: string): Promise<DiskCheckRecord | undefined> {
  return checkDisk(path).catch((error: unknown) => {
    assert.ok(isFault(error) && error.kind === 'refused', String(error));
    return undefined;
  });
}

async function repaired(inPlace: boolean): Promise<string | undefined> {
  const task = inPlace ? repairVhdx(changed, { inPlace: true }) : repairDisk(changed, copy);
  return task.then(
    () => undefined,
    (error: unknown) => {
      assert.ok(isFault(error) && error.kind !== 'bug' && error.message.length > 0, String(error));
      return error.code;
    },
  );
}

/** `undefined`, or the code of the fault that refused the repair. */
async function judged(inPlace: boolean): Promise<string | undefined> {
  const before = await contentOf(changed);
  const found = await checked(changed);
  // Where the chain is refused first, only a check has looked at the rest of the file.
  const opens = Buffer.isBuffer(before) || (OF_THE_CHAIN.test(before.code) && found?.sound === true);
  // Two region tables that are valid and differ are damage, though the first one is read.
  const isAmbiguous = found?.findings.some(({ code }) => code === 'VHDX_REGION_TABLES_DIFFER') ?? false;
  if (!isAmbiguous) assert.equal(found?.sound ?? false, opens, `check: ${JSON.stringify(found?.findings)}`);
  const bytes = readFileSync(changed);
  const refused = await repaired(inPlace);
  if (refused !== undefined) {
    assert.ok(!opens, `refused with ${refused}, though it opens`);
    assert.ok(!existsSync(copy) && readFileSync(changed).equals(bytes), 'something was left or changed');
    return refused;
  }
  const target = inPlace ? changed : copy;
  assert.deepEqual((await checked(target))?.findings, []);
  assert.deepEqual(await contentOf(target), before, 'what the repaired file reads as');
  if (!inPlace) assert.ok(readFileSync(changed).equals(bytes), 'the source was changed');
  return undefined;
}

test('a repaired file has nothing to be found and reads as before, or the repair says why not and leaves nothing', async (t) => {
  const refusals = new Map<string, number>();
  let mended = 0;
  for (let trial = 0; trial < TRIALS; trial += 1) {
    const random = new Random(SEED + trial);
    const subject = random.pick(subjects);
    const mutants = draw(subject, random);
    writeChanged(subject, mutants);
    const refused = await judged(random.oneIn(3)).catch((error: Error) => {
      const what = mutants.map((mutant) => mutant.what).join('; ');
      throw new Error(`trial ${trial}, ${subject.name}: ${what}: ${error.message}`, { cause: error });
    });
    rmSync(copy, { force: true });
    if (refused === undefined) mended += 1;
    else refusals.set(refused, (refusals.get(refused) ?? 0) + 1);
  }
  t.diagnostic(`${mended} repaired, ${TRIALS - mended} refused with ${refusals.size} codes`);
  assert.ok(mended > TRIALS / 4 && refusals.size > 10);
});
