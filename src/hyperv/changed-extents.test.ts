import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GiB, hasCode, KiB, MiB, TiB } from '../base/index.ts';
import { alignOut, clip, endOf, intersect, normalise, subtract, type Extent } from '../extents/index.ts';
import { winrmFaults, type CimSession } from '../winrm/index.ts';
import { changedExtents } from './changed-extents.ts';
import type { Host } from './host.ts';
import { FakeClock } from './testing/clock.fixture.ts';

interface Question {
  readonly offset: number;
  readonly length: number;
}
interface Reply {
  readonly processed: number | bigint | null;
  readonly ranges: readonly { readonly offset: number | bigint; readonly length: number | bigint }[];
  readonly returnValue?: number;
}

/** A host that answers GetVirtualDiskChanges by `reply`, and counts. */
function hostThat(reply: (asked: Question) => Reply): { host: Host; questions: Question[] } {
  const questions: Question[] = [];
  const invoke = async (_cls: unknown, _keys: unknown, _method: string, input: Record<string, unknown>) => {
    const asked = { offset: Number(input['ByteOffset']), length: Number(input['ByteLength']) };
    questions.push(asked);
    const { processed, ranges, returnValue = 0 } = reply(asked);
    return {
      returnValue,
      ProcessedByteLength: processed === null ? null : BigInt(processed),
      ChangedByteOffsets: ranges.map((range) => BigInt(range.offset)),
      ChangedByteLengths: ranges.map((range) => BigInt(range.length)),
      Job: null,
    };
  };
  const session = { invoke } as unknown as CimSession;
  return { host: { session, clock: new FakeClock(), pollMs: 100 }, questions };
}

const query = (size: number) => ({ path: 'C:\\a.avhdx', rctId: 'rctX:1', size });
const ask = (host: Host, size: number, signal?: AbortSignal): Promise<Extent[]> =>
  Array.fromAsync(changedExtents(host, query(size), { signal }));

/** How the model host reports: each setting is legal, and no document excludes any of it. */
const anyStyle = fc.record(
  {
    granularity: fc.constantFrom(1, 512, 4096, 64 * KiB, 1 * MiB),
    order: fc.constantFrom('sorted', 'reversed', 'shuffled'),
    overlapping: fc.boolean(),
    emptyRanges: fc.boolean(),
    rangesMax: fc.integer({ min: 1, max: 40 }),
    /** Answers with more ranges than this do not fit the envelope. */
    envelope: fc.integer({ min: 2, max: 60 }),
    shortBy: fc.double({ min: 0, max: 0.9, noNaN: true }),
    beyondEnd: fc.boolean(),
  },
  { noNullPrototype: true },
);
type Style = typeof anyStyle extends fc.Arbitrary<infer T> ? T : never;

/** `true` changes grown to the host's grid, reported for one question in the host's style. */
function modelReply(changes: readonly Extent[], size: number, style: Style, asked: Question): Reply {
  const grown = alignOut(changes, style.granularity, style.beyondEnd ? size + style.granularity : size);
  const inside = grown.filter((e) => e.offset < asked.offset + asked.length && endOf(e) > asked.offset);
  if (inside.length > style.envelope && asked.length > 64 * KiB) {
    throw winrmFaults.envelopeTooLarge({ resource: 'test', limitBytes: 1 });
  }
  const kept = inside.slice(0, style.rangesMax);
  const nextDropped = inside[style.rangesMax];
  const full = nextDropped ? Math.max(nextDropped.offset, asked.offset + 1) - asked.offset : asked.length;
  const processed = Math.max(1, Math.floor(Math.min(full, asked.length) * (1 - style.shortBy)));
  let ranges: Extent[] = kept;
  if (style.overlapping)
    ranges = kept.flatMap((e) => [e, { offset: e.offset, length: Math.ceil(e.length / 2) }]);
  if (style.emptyRanges) ranges = [...ranges, { offset: asked.offset, length: 0 }];
  if (style.order === 'reversed') ranges = ranges.toReversed();
  if (style.order === 'shuffled') ranges = ranges.toSorted((a, b) => (a.offset % 7) - (b.offset % 7));
  return { processed, ranges };
}

test('whatever the style of the host, every change is covered, in order, and nothing far from a change', async () => {
  const sizes = fc.integer({ min: 1, max: 300 * MiB });
  const anyChanges = fc.array(
    fc.record(
      { at: fc.double({ min: 0, max: 1, noNaN: true }), length: fc.integer({ min: 1, max: 3 * MiB }) },
      { noNullPrototype: true },
    ),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(sizes, anyChanges, anyStyle, async (size, raw, style) => {
      const changes = clip(
        normalise(raw.map(({ at, length }) => ({ offset: Math.floor(at * size), length }))),
        size,
      );
      const { host, questions } = hostThat((asked) => modelReply(changes, size, style, asked));
      const got = await ask(host, size);
      assert.deepEqual(got, normalise(got), 'sorted, merged, none empty');
      assert.deepEqual(subtract(changes, got), [], 'nothing is missing');
      assert.deepEqual(subtract(got, alignOut(changes, style.granularity, size)), [], 'nothing is invented');
      const answered = questions.reduce((end, asked) => Math.max(end, asked.offset + asked.length), 0);
      assert.equal(answered, size, 'the whole disk was asked about');
      // Each range may need an answer of its own; halving and shortened answers multiply that by a logarithm.
      assert.ok(questions.length < 400 * (changes.length + 2), `${questions.length} questions`);
    }),
    { numRuns: 300 },
  );
});

test('an unchanged 64 TiB disk takes two questions, each for less than the disk', async () => {
  const { host, questions } = hostThat((asked) => ({ processed: asked.length, ranges: [] }));
  assert.deepEqual(await ask(host, 64 * TiB), []);
  assert.deepEqual(questions, [
    { offset: 0, length: 32 * TiB },
    { offset: 32 * TiB, length: 32 * TiB },
  ]);
});

test('a dense region narrows the window, and it widens again behind it', async () => {
  const size = 64 * TiB;
  const dense = { offset: 1 * TiB, length: 10 * GiB };
  const { host, questions } = hostThat((asked) => {
    const [part] = intersect([{ ...asked }], [dense]);
    const count = part ? Math.ceil(part.length / (128 * KiB)) : 0;
    if (count > 4700) throw winrmFaults.envelopeTooLarge({ resource: 'test', limitBytes: 512_000 });
    const ranges = Array.from({ length: count }, (_, i) => ({
      offset: part!.offset + i * 128 * KiB,
      length: 64 * KiB,
    }));
    return { processed: asked.length, ranges };
  });
  const got = await ask(host, size);
  assert.equal(got.length, (10 * GiB) / (128 * KiB));
  assert.ok(questions.length < 250, `${questions.length} questions`);
});

test('the consumer sets the pace: nothing is asked ahead of what it reads', async () => {
  const { host, questions } = hostThat((asked) => ({
    processed: 1 * MiB,
    ranges: [{ offset: asked.offset, length: 4096 }],
  }));
  const stream = changedExtents(host, query(1 * TiB))[Symbol.asyncIterator]();
  assert.deepEqual((await stream.next()).value, { offset: 0, length: 4096 });
  await stream.return!(undefined);
  assert.equal(questions.length, 2); // the second shows that the first extent does not go on
});

const refused: Readonly<Record<string, (asked: Question) => Reply>> = {
  'no progress': () => ({ processed: 0, ranges: [] }),
  'progress unknown': () => ({ processed: null, ranges: [] }),
  'more progress than asked for': (asked) => ({ processed: asked.length + 1, ranges: [] }),
  'progress byte by byte for ever': () => ({ processed: 1, ranges: [] }),
  'ranges relative to the question': (asked) => ({
    processed: asked.length,
    ranges: asked.offset > 0 ? [{ offset: 100, length: 100 }] : [],
  }),
  'a range far behind the question': (asked) => ({
    processed: asked.length,
    ranges: asked.offset === 0 ? [{ offset: 9 * GiB, length: 100 }] : [],
  }),
  'a job instead of an answer': () => ({ processed: null, ranges: [], returnValue: 4096 }),
  'an unknown id (code)': () => ({ processed: null, ranges: [], returnValue: 32_773 }),
  'an unknown id (fault)': () => {
    throw winrmFaults.providerFailed({ resource: 'x', host: 'HV1', code: 0xc03a0030, message: 'x' });
  },
  'an envelope that never fits': () => {
    throw winrmFaults.envelopeTooLarge({ resource: 'test', limitBytes: 1 });
  },
  'a time that never suffices': () => {
    throw winrmFaults.timedOut({ host: 'HV1', resource: 'x', seconds: 60 });
  },
};
for (const [name, reply] of Object.entries(refused)) {
  test(`${name}: the baseline is lost, with the reason, after a bounded number of questions`, async () => {
    const { host, questions } = hostThat(reply);
    await assert.rejects(
      ask(host, 10 * GiB),
      (error) =>
        hasCode(error, 'HYPERV_BASELINE_LOST') &&
        error.cause instanceof Error &&
        error.details['reason'] !== '',
    );
    assert.ok(questions.length < 70_000, `${questions.length} questions`);
  });
}

test('arrays of unequal length are refused', async () => {
  const { host } = hostThat((asked) => ({ processed: asked.length, ranges: [{ offset: 0, length: 1 }] }));
  const invoke = host.session.invoke.bind(host.session) as (...call: unknown[]) => Promise<object>;
  host.session.invoke = (async (...call: unknown[]) => ({
    ...(await invoke(...call)),
    ChangedByteLengths: [],
  })) as unknown as CimSession['invoke'];
  await assert.rejects(ask(host, GiB), (error) => hasCode(error, 'HYPERV_BASELINE_LOST'));
});

test('a range beyond 2^53 or behind the end of the disk is clipped, never wrapped', async () => {
  const { host } = hostThat((asked) => ({
    processed: asked.length,
    ranges: [
      { offset: 9 * GiB, length: 2n ** 63n },
      { offset: 2n ** 62n, length: 5 },
    ].filter((range) => asked.offset > 0 || range.offset > GiB * 10),
  }));
  assert.deepEqual(await ask(host, 10 * GiB), [{ offset: 9 * GiB, length: GiB }]);
});

test('a host that cannot be reached, or refuses the account, is no lost baseline', async () => {
  for (const fault of [
    winrmFaults.unreachable({ host: 'HV1', port: 5985, reason: 'x' }),
    winrmFaults.connectionLost({ host: 'HV1', reason: 'x' }),
    winrmFaults.accessDenied({ user: 'u', resource: 'x', host: 'HV1', code: 5, message: 'x' }),
    winrmFaults.quotaExceeded({ host: 'HV1', code: 1, message: 'x' }),
  ]) {
    const { host } = hostThat(() => {
      throw fault;
    });
    await assert.rejects(ask(host, GiB), (error) => error === fault);
  }
});

test('a cancelled run stops between questions with its own reason', async () => {
  const controller = new AbortController();
  const { host, questions } = hostThat((asked) => {
    if (asked.offset > 5 * MiB) controller.abort(new Error('stop'));
    return { processed: MiB, ranges: [] };
  });
  await assert.rejects(ask(host, GiB, controller.signal), /stop/);
  assert.equal(questions.length, 7);
});

test('an empty disk has no changes and is not asked about', async () => {
  const { host, questions } = hostThat(() => ({ processed: 0, ranges: [] }));
  assert.deepEqual(await ask(host, 0), []);
  assert.equal(questions.length, 0);
});
