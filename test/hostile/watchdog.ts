/**
 * Ends the process when one input takes for ever: a loop without end keeps every timer of its own thread from running, so
 * another thread watches. It says which input it was.
 */
import { Worker } from 'node:worker_threads';

/** A thousand times what the slowest input takes on a busy machine. */
const PATIENCE_MS = 60_000;

const WATCH = `
  const { workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  const { shared, name, seed, patienceMs } = workerData;
  for (let seen = -1; Atomics.load(shared, 1) === 0; ) {
    const input = Atomics.load(shared, 0);
    if (input === seen) {
      writeSync(2, name + ': hangs; again with HVLIFT_SEED=' + seed + ':' + input + '\\n');
      process.kill(process.pid, 'SIGKILL');
    }
    seen = input;
    Atomics.wait(shared, 1, 0, patienceMs);
  }
`;

export interface Watchdog extends AsyncDisposable {
  /** Says that this input is being fed now. */
  feeding(input: number): void;
}

export function startWatchdog(name: string, seed: number): Watchdog {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(WATCH, {
    eval: true,
    workerData: { shared, name, seed, patienceMs: PATIENCE_MS },
  });
  return {
    feeding: (input) => void Atomics.store(shared, 0, input),
    async [Symbol.asyncDispose]() {
      Atomics.store(shared, 1, 1);
      Atomics.notify(shared, 1);
      await worker.terminate();
    },
  };
}
