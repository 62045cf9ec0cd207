/**
 * A power cut at any operation on the file system below a directory store: what it said is stored is there and whole, what it said
 * is removed is gone.
 *
 * The tests after it make mistakes on purpose in what was recorded, and expect that the same enumeration finds each of them.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDirectoryStore } from './index.ts';
import { brokenPromise, powerCuts } from './power-cut.fixture.ts';
import { randomFrom } from './seeded-random.fixture.ts';
import { ROOT_PATH, VolatileFiles, type FileOperation } from './volatile-files.fixture.ts';

const SEED = Number(process.env['HVLIFT_SEED']?.split(':')[0] ?? 20_261_123);
const OBJECTS = 12;
/** Each mixes the calls of the two writers in another way. */
const ORDERS = 20;

interface Recorded {
  readonly files: VolatileFiles;
  readonly operations: readonly FileOperation[];
}

/** Two processes that store and remove in the same folders at the same time. */
async function recorded(hardLinks: boolean, seed = SEED): Promise<Recorded> {
  const random = randomFrom(seed);
  const files = new VolatileFiles({ hardLinks, turns: () => Math.floor(random() * 4) });
  await Promise.all([0, 1].map((writer) => write(files, writer)));
  return { files, operations: files.operations };
}

async function write(files: VolatileFiles, writer: number): Promise<void> {
  const store = await openDirectoryStore(ROOT_PATH, { files });
  for (let index = 0; index < OBJECTS; index += 1) {
    const object = `packs/${index % 5}/${writer}-${index}`;
    const upload = await store.startNew(object);
    for (let piece = 0; piece < 3; piece += 1) await upload.append(Buffer.alloc(700, `${object} ${piece}`));
    await upload.commit();
    files.note({ object, now: files.contentOf(object) });
    const older = `packs/${(index - 2) % 5}/${writer}-${index - 2}`;
    if (index % 3 !== 2) continue;
    files.note({ object: older, now: 'doubtful' });
    await store.delete(older);
    files.note({ object: older, now: 'gone' });
  }
}

/** The first state that is not as it was said to be, and how many were looked at. */
function lookedAt({ files, operations }: Recorded): {
  readonly states: number;
  readonly broken: string | undefined;
} {
  let states = 0;
  for (const cut of powerCuts(files, operations, { from: 0, random: randomFrom(SEED) })) {
    states += 1;
    const broken = brokenPromise(cut);
    if (broken !== undefined) return { states, broken: `${cut.label}: ${broken}` };
  }
  return { states, broken: undefined };
}

for (const hardLinks of [true, false]) {
  test(`what was said of objects is so after any power cut, ${hardLinks ? 'with' : 'without'} hard links`, async (t) => {
    let states = 0;
    for (let seed = SEED; seed < SEED + ORDERS; seed += 1) {
      const looked = lookedAt(await recorded(hardLinks, seed));
      states += looked.states;
      assert.equal(looked.broken, undefined, `seed ${seed}`);
    }
    t.diagnostic(`${states} states`);
    assert.ok(states > 20_000);
  });
}

type Mistake = (recording: Recorded) => FileOperation[];

/** Leaves out each sync for which `wanted` holds. */
const withoutSync =
  (wanted: (kind: 'file' | 'folder', last: FileOperation | undefined) => boolean): Mistake =>
  ({ files, operations }) => {
    const own = operations.filter(({ kind }) => kind !== 'note');
    const left = new Set(
      own.filter(
        (operation, index) =>
          operation.kind === 'sync' && wanted(files.nodes[operation.node]!.kind, own[index - 1]),
      ),
    );
    return operations.filter((operation) => !left.has(operation));
  };

const labelled = (operation: FileOperation | undefined, text: string): boolean =>
  operation?.kind === 'name' && operation.label.startsWith(text);

const isFolder = ({ files }: Recorded, operation: FileOperation | undefined): boolean =>
  operation?.kind === 'name' && files.nodes[operation.names[0]!.node ?? 0]!.kind === 'folder';

const MISTAKES: Record<string, Mistake> = {
  'the bytes are not synced': withoutSync((kind) => kind === 'file'),
  'the folder is not synced after a name was given': withoutSync(
    (kind, last) => kind === 'folder' && labelled(last, 'unlink .incoming'),
  ),
  'the folder is not synced after a name was taken': withoutSync(
    (kind, last) => kind === 'folder' && labelled(last, 'unlink packs'),
  ),
  'a new folder is not synced in its parent': (recording) =>
    withoutSync((kind, last) => kind === 'folder' && isFolder(recording, last))(recording),
  'the bytes are synced after the name was given': ({ files, operations }) => {
    const late = operations.filter(
      (operation) => operation.kind === 'sync' && files.nodes[operation.node]!.kind === 'file',
    );
    return operations.filter((operation) => !late.includes(operation)).concat(late);
  },
};

for (const [claim, mistake] of Object.entries(MISTAKES)) {
  test(`the enumeration finds a mistake: ${claim}`, async () => {
    const recording = await recorded(true);
    const { broken } = lookedAt({ files: recording.files, operations: mistake(recording) });
    assert.notEqual(broken, undefined);
  });
}
