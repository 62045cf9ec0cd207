/** The sequences of `main-job.test.ts`, many more of them. The last result is kept in docs/operating/proof.md. */
import { test } from 'node:test';
import { checkSequences } from './check-sequences.ts';

const SEQUENCES = { count: 50_000, file: 'test/property/main-job.long.ts' };

void test('tens of thousands of sequences: every restore point is exact and I1 to I11 hold', async (t) => {
  const { tally, seed } = await checkSequences(SEQUENCES);
  t.diagnostic(`seed ${seed}`);
  for (const line of tally.lines()) t.diagnostic(line);
});
