/** The trials of `mutations.test.ts`, many more of them. The last result is kept in docs/operating/proof.md. */
import { test } from 'node:test';
import { checkMutations } from './mutation-run.ts';

void test('a million changed files: none shows other bytes than its change explains', async (t) => {
  await checkMutations(t, { count: 1_000_000, seed: Math.floor(Math.random() * 2 ** 31) });
});
