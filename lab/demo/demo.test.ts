/** The demo as its newcomer runs it: as a process. Its figures are judged by itself; here it is judged. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MiB } from '../../src/base/index.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { SMALL_PLAN } from './plan.ts';
import { runDemo } from './run.ts';
import { Screen } from './screen.ts';

const DEMO = fileURLToPath(new URL('../demo.ts', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
}

function startDemo(folder: string): ChildProcessByStdio<null, Readable, null> {
  return spawn(process.execPath, ['-C', 'source', DEMO, '--small'], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Runs the small demo with its temporary folder in `folder`; `onLine` may interfere. */
async function demoIn(
  folder: string,
  onLine: (line: string, demo: ChildProcess) => Promise<void> | void = () => {},
): Promise<Ended> {
  const demo = startDemo(folder);
  const closed = once(demo, 'close') as Promise<[number | null]>;
  const lines: string[] = [];
  for await (const line of createInterface(demo.stdout)) {
    lines.push(line);
    await onLine(line, demo);
  }
  return { code: (await closed)[0], lines };
}

test('four restore points in three formats are identical with the truth, and nothing is left', async () => {
  await using temporary = await scratch();
  const { code, lines } = await demoIn(temporary.folder);
  const text = lines.join('\n');
  assert.equal(code, 0, text);
  assert.equal(lines.filter((line) => line.endsWith('  identical')).length, 8, text);
  for (const format of ['raw', 'vhdx', 'qcow2']) assert.match(text, new RegExp(` ${format} .* identical`));
  assert.match(text, /every byte is as it was/);
  assert.deepEqual(await readdir(temporary.folder), []);
});

test('one byte of the truth changed, and the demo says where and ends with 1', async () => {
  await using temporary = await scratch();
  const { code, lines } = await demoIn(temporary.folder, async (line) => {
    if (!/Increment of nothing/.test(line)) return;
    const [base] = globSync('hvlift-demo-*/host/truth/*/base.raw', { cwd: temporary.folder });
    await using file = await open(`${temporary.folder}/${base!}`, 'r+');
    const byte = new Uint8Array(1);
    await file.read(byte, 0, 1, 5 * MiB + 77);
    await file.write(Uint8Array.of(byte[0]! ^ 1), 0, 1, 5 * MiB + 77);
  });
  const text = lines.join('\n');
  assert.equal(code, 1, text);
  assert.equal(lines.filter((line) => line.endsWith('DIFFERS from byte 5242957 on')).length, 8, text);
  assert.equal(lines.filter((line) => line.startsWith('FAILED: ')).length, 4, text);
  assert.doesNotMatch(text, /every byte is as it was/);
});

test('ended by Ctrl-C in the middle of a backup, it takes its host and its folder with it', async () => {
  await using temporary = await scratch();
  let hostUrl = '';
  const { code, lines } = await demoIn(temporary.folder, (line, demo) => {
    hostUrl ||= /http:\S+wsman/.exec(line)?.[0] ?? '';
    if (/Full backup/.test(line)) demo.kill('SIGINT');
  });
  assert.equal(code, 130, lines.join('\n'));
  assert.deepEqual(await readdir(temporary.folder), []);
  await assert.rejects(fetch(hostUrl), 'the host is gone');
});

test('its output cut off, as by `| head`, it goes as after Ctrl-C', async () => {
  await using temporary = await scratch();
  const demo = startDemo(temporary.folder);
  await once(demo.stdout, 'data');
  demo.stdout.destroy();
  const [code] = (await once(demo, 'exit')) as [number | null];
  assert.equal(code, 141);
  assert.deepEqual(await readdir(temporary.folder), []);
});

test('without mke2fs the same real files are backed up, and the screen says what was used', async () => {
  const lines: string[] = [];
  const screen = new Screen((line) => lines.push(line));
  assert.deepEqual(await runDemo({ plan: SMALL_PLAN, screen, programFolders: [] }), [], lines.join('\n'));
  const text = lines.join('\n');
  assert.match(text, /as in a tar archive \(no mke2fs here/);
  assert.doesNotMatch(text, /e2fsck/);
  assert.equal(lines.filter((line) => line.endsWith('  identical')).length, 8, text);
});

test('too little room is said before anything is written', async () => {
  const lines: string[] = [];
  const screen = new Screen((line) => lines.push(line));
  const plan = { ...SMALL_PLAN, roomBytes: Number.MAX_SAFE_INTEGER };
  const [failure] = await runDemo({ plan, screen, programFolders: [] });
  assert.match(failure!, /free and the demo needs/);
  assert.deepEqual(lines, []);
});
