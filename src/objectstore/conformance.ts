/**
 * The suite every `ObjectStore` must pass. A driver's test calls it with a way to open a new, empty store.
 *
 *   objectStoreConformance('memory', async () => createMemoryStore());
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { LIVE_CHECKS } from './live-checks.ts';
import type { ObjectInfo, ObjectStore } from './port.ts';
import { prefixedStore } from './prefixed-store.ts';

export type OpenEmptyStore = () => Promise<ObjectStore>;

const content = randomBytes(3_000_007);
const withCode = (code: string) => (error: unknown) => hasCode(error, code);

export interface ConformanceOptions {
  /** Sets of names that are drawn for lists; each name is a put. Default 30; fewer where a put is slow. */
  readonly lists?: number;
}

export function objectStoreConformance(
  driver: string,
  open: OpenEmptyStore,
  { lists = 30 }: ConformanceOptions = {},
): void {
  readingBack(driver, open);
  namesOnce(driver, open);
  uploads(driver, open);
  listing(driver, open, lists);
  refusals(driver, open);
  live(driver, open);
}

/** What `hvlift doctor repo` tries on a user's store. */
function live(driver: string, open: OpenEmptyStore): void {
  for (const { id, title, run } of LIVE_CHECKS) {
    test(`${driver}: ${title}, as tried on a user's store`, async () => {
      const store = prefixedStore(await open(), `probe/${id}/`);
      assert.match(await run({ store, other: store, signal: new AbortController().signal }), /[a-z]/);
    });
  }
}

function readingBack(driver: string, open: OpenEmptyStore): void {
  test(`${driver}: any range of an object is read exactly`, async () => {
    const store = await open();
    await store.putNew('packs/ab/pack', content);
    for (const [offset, length] of [
      [0, 1],
      [0, content.length],
      [1_048_575, 2],
      [content.length - 70_001, 70_001],
      [content.length, 0],
      [0, 0],
    ] as const) {
      assertSame(
        await store.getRange('packs/ab/pack', offset, length),
        content.subarray(offset, offset + length),
      );
    }
  });

  test(`${driver}: an object of no bytes exists`, async () => {
    const store = await open();
    await store.putNew('empty', new Uint8Array(0));
    assert.deepEqual(await store.stat('empty'), { name: 'empty', size: 0 });
    assert.equal((await store.getRange('empty', 0, 0)).length, 0);
  });

  test(`${driver}: what is handed over may be changed afterwards`, async () => {
    const store = await open();
    const body = Buffer.from('before');
    await store.putNew('a/put', body);
    body.write('after.');
    assertSame(await store.getRange('a/put', 0, 6), Buffer.from('before'));
  });

  test(`${driver}: a range beyond the end is STORE_TRUNCATED, an absent object STORE_NOT_FOUND`, async () => {
    const store = await open();
    await store.putNew('a/short', Buffer.alloc(100));
    await assert.rejects(store.getRange('a/short', 0, 101), withCode('STORE_TRUNCATED'));
    await assert.rejects(store.getRange('a/short', 5_000_000, 1), withCode('STORE_TRUNCATED'));
    await assert.rejects(store.getRange('a/long', 0, 1), withCode('STORE_NOT_FOUND'));
    await assert.rejects(store.getRange('b/short', 0, 0), withCode('STORE_NOT_FOUND'));
    assert.equal(await store.stat('b/short'), undefined);
  });
}

function namesOnce(driver: string, open: OpenEmptyStore): void {
  test(`${driver}: storing the same bytes again succeeds, other bytes are refused and change nothing`, async () => {
    const store = await open();
    await store.putNew('points/a', content);
    await store.putNew('points/a', content);
    const other = Buffer.from(content);
    other[other.length - 1]! ^= 1;
    for (const body of [other, content.subarray(1), content.subarray(0, -1), new Uint8Array(0)]) {
      await assert.rejects(store.putNew('points/a', body), withCode('STORE_NAME_TAKEN'));
    }
    assertSame(await store.getRange('points/a', 0, content.length), content);
    assert.deepEqual(await namesOf(store, ''), ['points/a']);
  });

  test(`${driver}: of many writers of one name exactly one wins, and its bytes stay`, async () => {
    const store = await open();
    const bodies = Array.from({ length: 12 }, (_, i) => Buffer.alloc(10_000, i + 1));
    const results = await Promise.allSettled(bodies.map((body) => store.putNew('epoch', body)));
    const winners = bodies.filter((_, i) => results[i]!.status === 'fulfilled');
    assert.equal(winners.length, 1);
    assertSame(await store.getRange('epoch', 0, 10_000), winners[0]!);
  });

  test(`${driver}: a removed name can be given again; removing what is absent succeeds`, async () => {
    const store = await open();
    await store.delete('locks/x/y');
    await store.putNew('locks/x/y', Buffer.from('one'));
    await store.delete('locks/x/y');
    await store.delete('locks/x/y');
    assert.equal(await store.stat('locks/x/y'), undefined);
    await store.putNew('locks/x/y', Buffer.from('two'));
    assertSame(await store.getRange('locks/x/y', 0, 3), Buffer.from('two'));
  });
}

function uploads(driver: string, open: OpenEmptyStore): void {
  test(`${driver}: an upload is invisible until it is committed, and then whole`, async () => {
    const store = await open();
    const upload = await store.startNew('packs/00/p');
    const piece = Buffer.alloc(400_000);
    for (let at = 0; at < content.length; at += piece.length) {
      const length = content.copy(piece, 0, at, at + piece.length);
      await upload.append(piece.subarray(0, length));
    }
    assert.equal(upload.size, content.length);
    assert.deepEqual(await namesOf(store, ''), []);
    assert.equal(await store.stat('packs/00/p'), undefined);
    await upload.commit();
    assertSame(await store.getRange('packs/00/p', 0, content.length), content);
    await upload.abort();
    assert.deepEqual(await store.stat('packs/00/p'), { name: 'packs/00/p', size: content.length });
  });

  test(`${driver}: pieces handed over without waiting keep their order`, async () => {
    const store = await open();
    const upload = await store.startNew('packs/00/q');
    await Promise.all(Array.from({ length: 50 }, (_, i) => upload.append(Buffer.alloc(1000, i))));
    await upload.commit();
    const expected = Buffer.concat(Array.from({ length: 50 }, (_, i) => Buffer.alloc(1000, i)));
    assertSame(await store.getRange('packs/00/q', 0, 50_000), expected);
  });

  test(`${driver}: an aborted upload leaves nothing and takes no name`, async () => {
    const store = await open();
    const upload = await store.startNew('packs/01/p');
    await upload.append(content);
    await upload.abort();
    await upload.abort();
    assert.deepEqual(await namesOf(store, ''), []);
    await store.putNew('packs/01/p', Buffer.from('x'));
  });

  test(`${driver}: an upload to a taken name is refused at commit, or accepted when the bytes are the same`, async () => {
    const store = await open();
    await store.putNew('packs/02/p', content);
    for (const [body, outcome] of [
      [content, 'stored'],
      [content.subarray(7), 'STORE_NAME_TAKEN'],
    ] as const) {
      const upload = await store.startNew('packs/02/p');
      await upload.append(body);
      const result = await upload.commit().then(
        () => 'stored',
        (error: { code?: string }) => error.code,
      );
      assert.equal(result, outcome);
      await upload.abort();
    }
    assertSame(await store.getRange('packs/02/p', 0, content.length), content);
  });

  test(`${driver}: two clients that upload one name at once: one wins, or both stored the same`, async () => {
    const store = await open();
    for (const bodies of [
      [content, content.subarray(1)],
      [content, content],
    ] as const) {
      const name = `packs/04/${bodies[1].length}`;
      const both = await Promise.all(bodies.map(() => store.startNew(name)));
      await Promise.all(both.map((upload, index) => upload.append(bodies[index]!)));
      const results = await Promise.allSettled(both.map((upload) => upload.commit()));
      const won = bodies.filter((_, index) => results[index]!.status === 'fulfilled');
      assert.ok(won.length === 1 || (won.length === 2 && bodies[0] === bodies[1]), `${won.length} won`);
      assertSame(await store.getRange(name, 0, won[0]!.length), won[0]!);
      for (const upload of both) await upload.abort();
    }
  });

  test(`${driver}: many uploads at once do not disturb each other`, async () => {
    const store = await open();
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const upload = await store.startNew(`packs/${i}/p`);
        for (let piece = 0; piece < 10; piece += 1) await upload.append(Buffer.alloc(3000, i * 10 + piece));
        await upload.commit();
      }),
    );
    for (let i = 0; i < 20; i += 1) {
      const bytes = await store.getRange(`packs/${i}/p`, 0, 30_000);
      assert.ok(bytes.every((byte, at) => byte === i * 10 + Math.floor(at / 3000)));
    }
  });
}

function listing(driver: string, open: OpenEmptyStore, lists: number): void {
  // Few letters, among them those that sort before and after '/': '-' and '.' before, '0' and 'a' after.
  const segment = fc.stringMatching(/^[a0]([a0.-]{0,2}[a0-])?$/);
  const name = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/'));

  test(`${driver}: a list names every object with the prefix, once, in ascending order`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { maxLength: 25 }),
        name,
        fc.nat(8),
        async (names, other, cut) => {
          const store = await open();
          const objects = withoutFolders(names);
          for (const [i, object] of objects.entries()) await store.putNew(object, Buffer.alloc(i));
          const prefix = (names[0] ?? other).slice(0, cut);
          const expected = objects
            .map((object, i) => ({ name: object, size: i }))
            .filter((object) => object.name.startsWith(prefix))
            .sort((a, b) => (a.name < b.name ? -1 : 1));
          assert.deepEqual(await listOf(store, prefix), expected);
        },
      ),
      { numRuns: lists },
    );
  });

  test(`${driver}: objects removed while they are listed do no harm`, async () => {
    const store = await open();
    for (let i = 0; i < 60; i += 1) await store.putNew(`a/${i % 3}/${i}`, Buffer.alloc(1));
    for await (const { name: listed } of store.list('a/')) {
      await store.delete(listed);
      await store.delete(listed.replace(/\d+$/, (digits) => String(Number(digits) + 3)));
    }
    assert.deepEqual(await namesOf(store, ''), []);
  });
}

function refusals(driver: string, open: OpenEmptyStore): void {
  test(`${driver}: names that could leave the store or mean two things are refused`, async () => {
    const store = await open();
    const wrong = ['', '.', '..', '/a', 'a/', 'a//b', 'a/../b', '../a', 'a/.hidden', 'Upper', 'a b', 'a\\b'];
    for (const name of [...wrong, 'a.', 'con', 'a/nul.txt', 'é', 'a\0b', 'a'.repeat(201)]) {
      const refused = withCode('STORE_NAME_INVALID');
      await assert.rejects(store.putNew(name, Buffer.alloc(1)), refused, name);
      await assert.rejects(store.startNew(name), refused, name);
      await assert.rejects(store.getRange(name, 0, 0), refused, name);
      await assert.rejects(store.stat(name), refused, name);
      await assert.rejects(store.delete(name), refused, name);
    }
    await assert.rejects(listOf(store, '../'), withCode('STORE_NAME_INVALID'));
  });

  test(`${driver}: an aborted signal stops every call, and nothing is stored`, async () => {
    const store = await open();
    await store.putNew('a/there', Buffer.alloc(10));
    const options = { signal: AbortSignal.abort(new Error('stop')) };
    await assert.rejects(store.putNew('a/new', Buffer.alloc(1), options), /stop/);
    await assert.rejects(store.startNew('a/new', options), /stop/);
    await assert.rejects(store.getRange('a/there', 0, 1, options), /stop/);
    await assert.rejects(store.stat('a/there', options), /stop/);
    await assert.rejects(store.delete('a/there', options), /stop/);
    await assert.rejects(listOf(store, '', options), /stop/);
    assert.deepEqual(await namesOf(store, ''), ['a/there']);
  });

  test(`${driver}: a signal aborted during an upload stops it, and nothing is stored`, async () => {
    const store = await open();
    const controller = new AbortController();
    const upload = await store.startNew('a/upload', { signal: controller.signal });
    await upload.append(Buffer.alloc(100));
    controller.abort(new Error('stop'));
    await assert.rejects(upload.append(Buffer.alloc(100)), /stop/);
    await assert.rejects(upload.commit(), withCode('STORE_UPLOAD_FAILED'));
    await upload.abort();
    assert.deepEqual(await namesOf(store, ''), []);
  });
}

/** Names of which none is a folder of another: a file system cannot have both. */
function withoutFolders(names: readonly string[]): string[] {
  return names.filter((name) => !names.some((other) => other.startsWith(`${name}/`)));
}

async function listOf(
  store: ObjectStore,
  prefix: string,
  options?: { signal: AbortSignal },
): Promise<ObjectInfo[]> {
  return await Array.fromAsync(store.list(prefix, options));
}

async function namesOf(store: ObjectStore, prefix: string): Promise<string[]> {
  return (await listOf(store, prefix)).map((object) => object.name);
}

function assertSame(got: Uint8Array, expected: Uint8Array): void {
  assert.ok(Buffer.compare(got, expected) === 0, `${got.length} bytes are the expected ${expected.length}`);
}
