import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CreditWindow } from './credits.ts';

test('ids are used once, in order, and as many as a request pays', async () => {
  const credits = new CreditWindow();
  credits.grant(40);
  assert.deepEqual(await Promise.all([credits.take(1), credits.take(16), credits.take(1)]), [0, 1, 17]);
  assert.equal(credits.held, 41);
});

test('a large request that waits is not overtaken by small ones', async () => {
  const credits = new CreditWindow();
  const order: string[] = [];
  const first = await credits.take(1);
  const large = credits.take(4).then(() => order.push('large'));
  const small = credits.take(1).then(() => order.push('small'));
  assert.equal(first, 0);
  credits.grant(2);
  credits.settle(1);
  await new Promise(setImmediate);
  assert.deepEqual(order, []);
  credits.grant(3);
  await Promise.all([large, small]);
  assert.deepEqual(order, ['large', 'small']);
});

test('under any order of answers no more than 8 MiB is under way, and everybody gets a turn', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 16 }), { minLength: 1, maxLength: 200 }),
      fc.infiniteStream(fc.nat()),
      async (charges, choices) => {
        const credits = new CreditWindow();
        credits.grant(5000);
        const underWay: number[] = [];
        let done = 0;
        for (const charge of charges) void credits.take(charge).then(() => underWay.push(charge));
        while (done < charges.length) {
          await new Promise(setImmediate);
          const sum = underWay.reduce((all, charge) => all + charge, 0);
          assert.ok(sum <= 128, `${sum} credits of 64 KiB`);
          assert.ok(underWay.length > 0, 'somebody is under way');
          const index = choices.next().value % underWay.length;
          credits.settle(underWay.splice(index, 1)[0]!);
          done += 1;
        }
      },
    ),
    { numRuns: 20 },
  );
});

test('who waits for credits that can not come is told so', async () => {
  const credits = new CreditWindow();
  const waiting = credits.take(2);
  assert.ok(credits.starved);
  credits.fail(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  await assert.rejects(credits.take(1), /gone/);
});
