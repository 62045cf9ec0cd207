import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { winrmFaults, type CimReference } from '../winrm/index.ts';
import type { Host } from './host.ts';
import { judge, waitForJob } from './jobs.ts';
import { rig, type Rig } from './testing/rig.fixture.ts';

const hostOf = ({ session, clock }: Rig): Host => ({ session, clock, pollMs: 100 });
const what = 'work';
const start = (made: Rig, className?: string): CimReference => made.host.startJob(() => undefined, className);

test('every state with and without an error code is judged by its number', () => {
  const job = (state: number | null, code: number | null) =>
    judge({
      InstanceID: 'x',
      JobState: state,
      ErrorCode: code,
      ErrorDescription: null,
      ErrorSummaryDescription: null,
      Cancellable: true,
    });
  const kinds = (states: readonly (number | null)[], code: number | null): unknown[] =>
    states.map((state) => {
      const end = job(state, code);
      return end === 'running' ? end : end.kind;
    });
  const every = (length: number, kind: string): string[] => Array.from({ length }, () => kind);
  assert.deepEqual(kinds([2, 3, 4, 5, 6, 11, 12, 13, 0, null], 0), every(10, 'running'));
  assert.deepEqual(kinds([2, 3, 4, 5, 6, 11, 12], 32_768), every(7, 'running'));
  assert.deepEqual(kinds([7, 32_768], 0), every(2, 'completed'));
  assert.deepEqual(kinds([7, 32_768], null), every(2, 'completed'));
  assert.deepEqual(kinds([7, 32_768], 32_773), every(2, 'failed'));
  assert.deepEqual(kinds([8, 9, 10], 0), every(3, 'failed'));
  assert.deepEqual(kinds([8, 9, 10], 32_768), every(3, 'failed'));
  const failed = job(10, 0);
  assert.ok(
    typeof failed === 'object' && failed.kind === 'failed' && failed.code === 10 && failed.text !== '',
  );
});

test('a job is asked for in the class the host named, with pauses that grow to two seconds', async () => {
  for (const className of ['Msvm_ConcreteJob', 'Msvm_StorageJob', 'Msvm_MigrationJob']) {
    const made = rig();
    made.host.jobMs = 600_000;
    const job = start(made, className);
    assert.deepEqual(await waitForJob(hostOf(made), job, { what }), { kind: 'completed' });
    assert.deepEqual(new Set(made.session.calls), new Set([`get ${className}`]));
    assert.ok(made.session.calls.length < 320, `${made.session.calls.length} polls in ten minutes`);
  }
});

test('a job that is gone has neither succeeded nor failed', async () => {
  const made = rig();
  made.host.jobLifeMs = 0;
  assert.deepEqual(await waitForJob(hostOf(made), start(made), { what }), { kind: 'vanished' });
});

test('four failed polls in a row are borne, again and again; five are not', async () => {
  for (const [failures, isBorne] of [
    [4, true],
    [5, false],
  ] as const) {
    const made = rig();
    made.host.jobMs = 60_000;
    let polls = 0;
    made.session.disturb = (_call, moment) => {
      if (moment === 'before' && (polls += 1) % (failures + 1) !== 0) {
        throw winrmFaults.connectionLost({ host: 'HV1', reason: 'test' });
      }
    };
    const waiting = waitForJob(hostOf(made), start(made), { what });
    if (isBorne) assert.deepEqual(await waiting, { kind: 'completed' });
    else await assert.rejects(waiting, (error) => hasCode(error, 'WINRM_CONNECTION_LOST'));
  }
});

test('cancelling asks the host to terminate the job', async () => {
  const made = rig();
  made.host.jobMs = 60_000;
  const controller = new AbortController();
  const waiting = waitForJob(hostOf(made), start(made), { what, signal: controller.signal });
  setImmediate(() => controller.abort(new Error('stop')));
  await assert.rejects(waiting, /stop/);
  assert.equal(made.host.jobs[0]!.terminated, true);
});

test('a job that never ends is given up after half an hour, and asked to terminate', async () => {
  const made = rig();
  made.host.jobMs = Infinity;
  await assert.rejects(waitForJob(hostOf(made), start(made), { what }), (error) =>
    hasCode(error, 'HYPERV_JOB_STUCK'),
  );
  assert.equal(made.host.jobs[0]!.terminated, true);
});
