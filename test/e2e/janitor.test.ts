/** The janitor against the emulated host: what runs left is found and removed, what others made is shown and stays. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB, MiB, newGuid, silentProgress } from '../../src/base/index.ts';
import { checkpointName, createHyperVSource } from '../../src/capture/index.ts';
import {
  backupVm,
  findReplicas,
  janitor,
  noteRemoved,
  Replica,
  removedReplicas,
  replicateVm,
  type JanitorReplicas,
  type JanitorRequest,
  type JanitorVm,
} from '../../src/flows/index.ts';
import { repositoryJournal } from '../../src/flows/repository-journal.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import { createMemoryStore, type ObjectStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { openTarget } from '../../src/targets/index.ts';
import { callLog, openLabStack, strangersCheckpoint, type LabStack } from './lab-stack.fixture.ts';

interface Rig extends AsyncDisposable {
  readonly stack: LabStack;
  readonly store: ObjectStore;
  readonly repository: Repository;
  /** Where replicas have their state. */
  readonly replicasFolder: string;
  clean(request?: Partial<JanitorRequest>): Promise<JanitorVm[]>;
}

const LEDGER = 'made by hand';

/** As the command reads them. */
async function replicasIn(folder: string): Promise<JanitorReplicas> {
  const found = await findReplicas(folder);
  const replicas = found.flatMap(({ state, ...place }) => (state ? [{ ...place, state }] : []));
  return { folder, replicas, removed: await removedReplicas(folder) };
}

async function open(): Promise<Rig> {
  const stack = await openLabStack();
  const store = createMemoryStore();
  const { repository } = await createRepository(store, { encryption: 'none' });
  const deps = {
    hyperv: stack.hyperv,
    repositories: [{ name: 'main', repository }],
    madeByHand: async () => [LEDGER],
  };
  const replicasFolder = await mkdtemp(join(tmpdir(), 'hvlift-janitor-'));
  const request = { dryRun: false, byHand: false, mergeTimeoutMs: 10_000, progress: silentProgress };
  return {
    stack,
    store,
    repository,
    replicasFolder,
    clean: async (changes) => {
      const replicas = await replicasIn(replicasFolder);
      return Array.fromAsync(janitor({ ...deps, replicas }, { ...request, ...changes }));
    },
    async [Symbol.asyncDispose]() {
      await stack[Symbol.asyncDispose]();
      await rm(replicasFolder, { recursive: true });
    },
  };
}

/** A recovery checkpoint with a name of ours, as a run leaves it that is killed. */
async function leave(rig: Rig, vmId: string, consumer = rig.repository.id.slice(0, 8)): Promise<string> {
  const name = checkpointName(consumer, newGuid());
  await rig.stack.hyperv.createRecoveryCheckpoint(vmId.toLowerCase(), { consistency: 'crash', name });
  return name;
}

const states = ({ found }: JanitorVm): string[] =>
  found!.checkpoints.map(({ state, kind }) => `${kind} ${state}`);

async function names(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(''))).map(({ name }) => name).toSorted();
}

test('a dry run names what a killed run left and changes nothing; then it goes, merged to the end, and what others made stays', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const disks = [{ size: 4 * MiB }];
  const left = await lab.createVm({ name: 'left', disks });
  const other = await lab.createVm({ name: 'other', disks });
  await leave(rig, left.id, `${rig.repository.id.slice(0, 8)}.daily`);
  await strangersCheckpoint(lab, other.id);
  await strangersCheckpoint(lab, other.id, 'user');
  await lab.configure({ windows: { freeBytes: 7 * GiB } });
  await lab.guestWrite(left.id, { offset: 0, length: MiB, seed: 1 });
  const before = await names(rig.store);
  const log = callLog(lab);
  const told = await rig.clean({ dryRun: true });
  assert.deepEqual(told.map(states), [['recovery left-over'], ['recovery foreign', 'user foreign']]);
  const { chainFiles, avhdxFiles, avhdxBytes, volumes } = told[0]!.found!;
  assert.deepEqual([chainFiles, avhdxFiles, volumes.map(({ free }) => free)], [2, 1, [7 * GiB]]);
  assert.ok(avhdxBytes >= MiB, `${avhdxBytes} bytes`);
  assert.equal(told[1]!.found!.chainFiles, 3);
  assert.deepEqual(log.changes(), [], 'nothing on the host');
  assert.deepEqual(await names(rig.store), before, 'nothing in the repository');

  const done = await rig.clean();
  assert.deepEqual(done.map(states), [['recovery removed'], ['recovery foreign', 'user foreign']]);
  assert.deepEqual([done[0]!.found!.merge, done[0]!.found!.chainFiles], ['merged', 1]);
  assert.deepEqual(log.changes(), ['DestroySnapshot']);
  assert.equal((await lab.vm(other.id)).checkpoints.length, 2);
  assert.deepEqual(await rig.clean().then((again) => again.map(states)), [
    [],
    ['recovery foreign', 'user foreign'],
  ]);
});

test('a checkpoint whose run lives is left alone, and so is one of which nobody here can say', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const live = await lab.createVm({ name: 'live', disks: [{ size: 4 * MiB }] });
  const away = await lab.createVm({ name: 'away', disks: [{ size: 4 * MiB }] });
  await leave(rig, live.id);
  await leave(rig, away.id, '0badcafe');
  const log = callLog(lab);
  {
    await using _lock = await rig.repository.lockVm(live.id.toLowerCase());
    for (const dryRun of [true, false]) {
      const found = await rig.clean({ dryRun });
      assert.deepEqual(found.map(states), [['recovery in-use'], ['recovery owner-unknown']]);
      assert.deepEqual(
        found.flatMap(({ warnings }) => warnings.map(({ code }) => code)),
        ['FLOW_OWNER_UNKNOWN'],
      );
    }
  }
  assert.deepEqual(log.changes(), []);
  assert.deepEqual((await rig.clean()).map(states), [['recovery removed'], ['recovery owner-unknown']]);
});

test('checkpoints made by hand go only when that is asked for', async () => {
  await using rig = await open();
  const { id } = await rig.stack.lab.createVm({ name: 'hand', disks: [{ size: 4 * MiB }] });
  await leave(rig, id, 'rct00000');
  assert.deepEqual((await rig.clean()).map(states), [['recovery owner-unknown']]);
  assert.deepEqual((await rig.clean({ byHand: true, dryRun: true })).map(states), [['recovery left-over']]);
  assert.deepEqual((await rig.clean({ byHand: true })).map(states), [['recovery removed']]);
});

test('reference points that a newer one replaced go, the newest of each consumer and those of others stay', async () => {
  await using rig = await open();
  const { lab, hyperv, source } = rig.stack;
  const { id } = await lab.createVm({ name: 'marks', disks: [{ size: 4 * MiB }] });
  const deps = { source, repository: rig.repository, resolveVm: (name: string) => hyperv.vm(name) };
  const backup = (consumer?: string) => backupVm(deps, { vm: 'marks', workers: 0, consumer });
  await backup();
  await backup('weekly');
  // As after a run that died between recording its reference point and destroying the one before.
  await lab.addFault({
    method: 'DestroyReferencePoint',
    misbehaviour: { kind: 'wmi-error', status: 0x8004_1001 },
    times: 9,
  });
  assert.deepEqual(
    (await backup()).warnings.map(({ code }) => code),
    ['FLOW_BASELINE_NOT_ADOPTED'],
  );
  await lab.clearFaults();
  const stranger = await hyperv.createRecoveryCheckpoint(id.toLowerCase(), {
    consistency: 'crash',
    name: 'Other',
  });
  await hyperv.convertToReferencePoint(stranger);
  const before = (await hyperv.referencePoints(id.toLowerCase())).map(({ instanceId }) => instanceId);
  const [told] = await rig.clean({ dryRun: true });
  const [done] = await rig.clean();
  for (const { found } of [told!, done!]) {
    assert.deepEqual(found!.removedReferencePoints, [before[0]]);
    assert.deepEqual([found!.ourReferencePoints, found!.otherReferencePoints], [2, 1]);
  }
  const after = (await hyperv.referencePoints(id.toLowerCase())).map(({ instanceId }) => instanceId);
  assert.deepEqual(after, before.slice(1));
  const next = await backup();
  assert.deepEqual([next.disks[0]!.kind, next.warnings], ['delta', []]);
});

/** Cycles of a replica in an image file, and what the host has for it. */
async function replicaOf(rig: Rig, vm: string) {
  const { source, hyperv } = rig.stack;
  const target = openTarget(`dir:${join(rig.replicasFolder, 'images')}?format=raw`);
  const request = { vm, target, stateFolder: rig.replicasFolder };
  const cycle = () => replicateVm({ source, resolveVm: (name) => hyperv.vm(name) }, request);
  const held = async (): Promise<Replica> => {
    const { id, name } = await hyperv.vm(vm);
    return Replica.hold(rig.replicasFolder, { vm: { id, name }, target: target.address });
  };
  return { cycle, held };
}

test('the mark of a replica is shown with its owner and stays; what its killed run left goes, unless one of its runs lives', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'copied', disks: [{ size: 4 * MiB }] });
  const { cycle, held } = await replicaOf(rig, 'copied');
  const { replica } = await cycle();
  const [mark] = await hyperv.referencePoints(id.toLowerCase());
  await leave(rig, id, replica.slice(0, 8));
  const shown = ({ found }: JanitorVm) => [
    found!.marks,
    found!.otherReferencePoints,
    found!.removedReferencePoints,
  ];
  const stays = [[{ instanceId: mark!.instanceId, owner: { kind: 'replica', name: replica } }], 0, []];
  {
    await using _live = await held();
    for (const dryRun of [true, false]) {
      const [found] = await rig.clean({ dryRun });
      assert.deepEqual([states(found!), shown(found!)], [['recovery in-use'], stays]);
    }
  }
  const [told] = await rig.clean({ dryRun: true });
  assert.deepEqual([states(told!), shown(told!)], [['recovery left-over'], stays]);
  assert.equal(told!.found!.checkpoints[0]!.replica, replica);
  const [done] = await rig.clean();
  assert.deepEqual([states(done!), shown(done!), done!.warnings], [['recovery removed'], stays, []]);
  assert.equal((await cycle()).disks[0]!.kind, 'delta');
});

test('a repository never takes the mark of a replica for what a killed run of its own left', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'both', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  await repositoryJournal(rig.repository).record({
    step: 'converting',
    vmId,
    runId: 'run-1',
    at: new Date().toISOString(),
    checkpointId: 'Microsoft:gone',
    referencePointsBefore: [],
    recordedBefore: [],
  });
  await (await replicaOf(rig, 'both')).cycle();
  for (const dryRun of [true, false])
    assert.deepEqual((await rig.clean({ dryRun }))[0]!.found!.removedReferencePoints, []);
  assert.equal((await hyperv.referencePoints(vmId)).length, 1);
});

test('what a removed replica has on the host is found by what was written down, and goes with the next janitor', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'dropped', disks: [{ size: 4 * MiB }] });
  const { cycle, held } = await replicaOf(rig, 'dropped');
  const { replica: replicaId } = await cycle();
  const [mark] = await hyperv.referencePoints(id.toLowerCase());
  {
    await using replica = await held();
    await noteRemoved(rig.replicasFolder, replica);
    await replica.remove();
  }
  await leave(rig, id, replicaId.slice(0, 8));
  const [told] = await rig.clean({ dryRun: true });
  assert.deepEqual(
    [states(told!), told!.found!.removedReferencePoints],
    [['recovery left-over'], [mark!.instanceId]],
  );
  assert.equal((await removedReplicas(rig.replicasFolder)).length, 1, 'a dry run forgets nothing');
  const [done] = await rig.clean();
  assert.deepEqual(
    [states(done!), done!.found!.removedReferencePoints],
    [['recovery removed'], [mark!.instanceId]],
  );
  assert.deepEqual(
    [await hyperv.referencePoints(id.toLowerCase()), await removedReplicas(rig.replicasFolder)],
    [[], []],
  );
});

test('a reference point that a killed run made and did not record is told of, then destroyed', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'orphan', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  const name = checkpointName(rig.repository.id.slice(0, 8), 'run-1');
  const checkpoint = await hyperv.createRecoveryCheckpoint(vmId, { consistency: 'crash', name });
  await repositoryJournal(rig.repository).record({
    step: 'converting',
    vmId,
    runId: 'run-1',
    at: new Date().toISOString(),
    checkpointId: checkpoint.instanceId,
    referencePointsBefore: [],
    recordedBefore: [],
  });
  const { instanceId } = await hyperv.convertToReferencePoint(checkpoint);
  const [told] = await rig.clean({ dryRun: true });
  assert.deepEqual(told!.found!.removedReferencePoints, [instanceId]);
  assert.equal((await hyperv.referencePoints(vmId)).length, 1);
  const [done] = await rig.clean();
  assert.deepEqual(done!.found!.removedReferencePoints, [instanceId]);
  assert.deepEqual(await hyperv.referencePoints(vmId), []);
});

test('a merge that does not end is a warning; cancelled while it waits, the janitor ends and holds no lock', async () => {
  await using rig = await open();
  const { lab } = rig.stack;
  const { id } = await lab.createVm({ name: 'stuck', disks: [{ size: 4 * MiB }] });
  await leave(rig, id);
  await lab.holdMerges(id, true);
  const cancelled = new Error('Ctrl-C');
  const controller = new AbortController();
  const progress = { ...silentProgress, note: () => controller.abort(cancelled) };
  await assert.rejects(rig.clean({ signal: controller.signal, progress }), (error) => error === cancelled);
  await using _free = await rig.repository.lockVm(id.toLowerCase());
  const [found] = await rig.clean({ mergeTimeoutMs: 20 });
  assert.deepEqual(states(found!), []);
  assert.equal(found!.found!.merge, 'running');
  assert.deepEqual(
    found!.warnings.map(({ code }) => code),
    ['FLOW_MERGE_PENDING'],
  );
  await lab.holdMerges(id, false);
  assert.equal((await rig.clean())[0]!.found!.merge, 'merged');
});

test('cancelled at any of its questions or changes, the janitor ends with that and lets go of the VM; the next one does the rest', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'left', disks: [{ size: 4 * MiB }] });
  const vmId = id.toLowerCase();
  const controlled = { controller: new AbortController(), left: 0 };
  interruptible(lab, controlled);
  const cancelled = new Error('Ctrl-C');
  let stops = 0;
  for (let call = 1; ; call += 3) {
    controlled.left = 0;
    if ((await hyperv.checkpoints(vmId)).length === 0) await leave(rig, id);
    controlled.controller = new AbortController();
    Object.assign(controlled, { left: call, reason: cancelled });
    const ended = await rig.clean({ signal: controlled.controller.signal }).catch((error: unknown) => error);
    if (Array.isArray(ended)) break;
    assert.equal(ended, cancelled, `call ${call}`);
    stops += 1;
    await using _free = await rig.repository.lockVm(vmId);
  }
  assert.ok(stops >= 5, `only ${stops} calls`);
  assert.deepEqual(await hyperv.checkpoints(vmId), []);
});

interface Interruption {
  controller: AbortController;
  /** Calls until it is aborted; 0: never. */
  left: number;
  reason?: Error;
}

/** Aborts before a call of the host by number. */
function interruptible(lab: LabStack['lab'], interruption: Interruption): void {
  const { provider } = lab;
  const count = (): void => {
    interruption.left -= 1;
    if (interruption.left === 0) interruption.controller.abort(interruption.reason);
  };
  for (const name of ['invoke', 'instances'] as const) {
    const call = provider[name].bind(provider) as (...args: unknown[]) => Promise<unknown>;
    Object.assign(provider, {
      [name]: (...args: unknown[]) => {
        count();
        return call(...args);
      },
    });
  }
}

test('of two janitors at once none fails, and what was left is gone', async () => {
  await using rig = await open();
  const { lab, hyperv } = rig.stack;
  const { id } = await lab.createVm({ name: 'left', disks: [{ size: 4 * MiB }] });
  await leave(rig, id);
  const both = (await Promise.all([rig.clean(), rig.clean()])).flat();
  assert.deepEqual(
    both.map(({ error, warnings }) => [error, warnings]),
    both.map(() => [undefined, []]),
  );
  assert.ok(
    both.some((each) => states(each).includes('recovery removed')),
    both.flatMap(states).join(),
  );
  assert.deepEqual(await hyperv.checkpoints(id.toLowerCase()), []);
});

test('a backup that runs is left alone by the janitor, and ends as if there had been none', async () => {
  await using rig = await open();
  const { lab, hyperv, source } = rig.stack;
  const { id } = await lab.createVm({ name: 'live', disks: [{ size: 4 * MiB }] });
  const deps = { source, repository: rig.repository, resolveVm: (name: string) => hyperv.vm(name) };
  await backupVm(deps, { vm: 'live', workers: 0 });
  await lab.guestWrite(id, { offset: 0, length: MiB, seed: 1 });
  const found: JanitorVm[] = [];
  let looks: Promise<void> | undefined;
  const look = async (): Promise<void> => {
    for (const dryRun of [true, false]) found.push(...(await rig.clean({ dryRun, mergeTimeoutMs: 20 })));
  };
  // What the increment reads comes when the janitor has been there twice.
  const plain = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
  const files = waiting(plain, async () => looks);
  const phase = (name: string): void => {
    if (name.startsWith('delta')) looks ??= look();
  };
  const next = await backupVm(
    { ...deps, source: createHyperVSource({ hyperv, files, hostName: 'HV01' }) },
    { vm: 'live', workers: 0, progress: { ...silentProgress, phase } },
  );
  await plain.close();
  assert.deepEqual(found.map(states), [['recovery in-use'], ['recovery in-use']]);
  assert.deepEqual(
    found.map((each) => each.found!.ourReferencePoints),
    [1, 1],
  );
  assert.deepEqual([next.disks[0]!.kind, next.outcome], ['delta', 'ok']);
  assert.deepEqual(await hyperv.checkpoints(id.toLowerCase()), []);
});

function waiting(files: HostFiles, until: () => Promise<void>): HostFiles {
  return {
    async open(path, options) {
      const reader = await files.open(path, options);
      return {
        size: reader.size,
        async read(offset, into, call) {
          await until();
          await reader.read(offset, into, call);
        },
        close: () => reader.close(),
      };
    },
    describe: () => files.describe(),
    close: () => files.close(),
  };
}
