import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { processMark, processState } from './index.ts';

const onLinux =
  process.platform === 'linux' ? {} : { skip: 'no /proc; not proved: a reused process number is told apart' };

test('this process is alive', () => {
  assert.equal(processState(processMark()), 'alive');
});

test('a process that ended is dead', { ...onLinux }, async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  assert.equal(processState(withPart(3, String(child.pid))), 'dead');
});

test('a later process with the same number is not the one that made the mark', { ...onLinux }, () => {
  assert.equal(processState(withPart(4, '1')), 'dead');
});

test('everything of an earlier boot of this machine is dead', { ...onLinux }, () => {
  assert.equal(processState(withPart(1, '00000000')), 'dead');
});

test('another machine, another container and text that is no mark prove nothing', () => {
  assert.equal(processState(withPart(0, '00000000')), 'unknown');
  assert.equal(processState(withPart(2, '1')), 'unknown');
  for (const text of ['', 'x', '1.2.3', `${processMark()}.1`]) assert.equal(processState(text), 'unknown');
});

/** This process' mark with one part replaced: machine 0, boot 1, namespace 2, pid 3, start 4. */
function withPart(index: number, value: string): string {
  return processMark().split('.').with(index, value).join('.');
}
