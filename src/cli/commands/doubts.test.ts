/** A restore point that an audit threw doubt on, or that is not the whole VM: whoever uses it is told, with exit code 4. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandLine, Sink } from '../command-line.fixture.ts';
import type { Engine } from '../engine.ts';
import { RESTORED, VERIFIED, WEB01 } from '../fake-engine.fixture.ts';
import { Interrupts } from '../interrupts.ts';

const DOUBT = {
  code: 'FLOW_POINT_SUSPECT',
  message: 'it may lack changes, says point c3',
  remedy: 'take c3',
};

const DOUBTFUL: Partial<Engine> = {
  restore: async () => ({ ...RESTORED, warnings: [DOUBT] }),
  verify: async () => ({ ...VERIFIED, warnings: [DOUBT] }),
  async *restoreStream({ warn }) {
    warn(DOUBT);
    yield Buffer.from('bytes');
  },
  async servePoint(_request, _task, use) {
    const consistency = { asked: 'crash', reached: 'crash' } as const;
    const facts = { pointId: 'a1', vm: WEB01, consistency, created: '2026-11-23T00:00:00Z', exports: [] };
    await use({ ...facts, warnings: [DOUBT] });
  },
};

for (const argv of [
  ['restore', 'a1', '--to', 'out'],
  ['restore', 'a1', '--to', '-', '--format', 'raw'],
  ['serve', 'a1'],
  ['verify', 'a1'],
]) {
  test(`${argv.join(' ')} of a doubtful restore point says so and ends with 4`, async () => {
    await using line = await CommandLine.open();
    const interrupts = new Interrupts(() => {});
    // What is served is served until Ctrl-C: pressed when the point is on show.
    const stdout = new (class extends Sink {
      override _write(chunk: Buffer, encoding: string, done: () => void): void {
        super._write(chunk, encoding, done);
        if (argv[0] === 'serve') setImmediate(() => interrupts.press());
      }
    })();
    const { code, stderr } = await line.run(argv, { engine: DOUBTFUL, stdout, interrupts });
    assert.equal(code, 4);
    assert.match(stderr, /^warning FLOW_POINT_SUSPECT: it may lack changes, says point c3\ndo: take c3$/m);
  });
}
