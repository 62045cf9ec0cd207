/** Stresses, each on a repository of its own, shared out among threads. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { StressTally } from './stress.fixture.ts';
import type { StressEnd, StressTask } from './stress-player.fixture.ts';

/** Plays what `next` gives until it gives nothing more; the sum. Throws the first failure, which names its seed. */
export async function playStresses(next: () => StressTask | undefined): Promise<StressTally> {
  const players = Array.from(
    { length: Math.min(2, availableParallelism()) },
    () => new Worker(new URL('./stress-player.fixture.ts', import.meta.url)),
  );
  const sum: Partial<StressTally> = {};
  try {
    await Promise.all(
      players.map(async (player) => {
        for (let task = next(); task; task = next()) add(sum, await ended(player, task));
      }),
    );
  } finally {
    await Promise.all(players.map((player) => player.terminate()));
  }
  return sum as StressTally;
}

async function ended(player: Worker, task: StressTask): Promise<StressTally> {
  player.postMessage(task, []);
  const [{ tally, failure }] = (await once(player, 'message')) as [StressEnd];
  if (failure !== undefined) throw new Error(failure);
  return tally;
}

function add(sum: Partial<StressTally>, tally: StressTally): void {
  for (const [name, count] of Object.entries(tally) as [keyof StressTally, number][])
    sum[name] = (sum[name] ?? 0) + count;
}
