/** Thirty VMs of one host through the engine of the program: selected, within caps, cancelled, and each of them in order. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { startWire, type Wire } from '../../lab/wire/index.ts';
import { hasCode, KiB, MiB, silentProgress, type Progress } from '../../src/base/index.ts';
import { backupEngine } from '../../src/cli/backup-engine.ts';
import type { BackupRequest, BackupRun, Warning } from '../../src/cli/engine.ts';
import { secretFaults } from '../../src/cli/faults.ts';
import { createJanitorEngine } from '../../src/cli/janitor-engine.ts';
import { Secret } from '../../src/cli/secret.ts';
import { ReferencePointLedger } from '../../src/flows/index.ts';
import { createMemoryStore, openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';

const VMS = 30;
const folder = await mkdtemp(join(tmpdir(), 'hvlift-many-'));
const lab = await LabHost.open(join(folder, 'lab'), { settings: { ...INSTANT } });
const account = { user: 'Administrator', password: 'Passw0rd of a test' };
const wire: Wire = await startWire({ provider: lab.provider, users: [account] });
after(async () => {
  await wire.close();
  await lab.close();
  await rm(folder, { recursive: true, force: true });
});

const ids = new Map<string, string>();
for (let n = 0; n < VMS; n += 1) {
  const name = `vm${String(n).padStart(2, '0')}`;
  const notes = n % 3 === 0 ? ['made by a test', `#hvlift:${n % 2 === 0 ? 'daily' : 'weekly'}`] : [];
  // Every fifth has its disk on another volume.
  const path = `${n % 5 === 0 ? 'D' : 'C'}:\\VMs\\${name}\\disk.vhdx`;
  const { id } = await lab.createVm({ name, notes: notes.slice(0, 2), disks: [{ size: 4 * MiB, path }] });
  await lab.guestWrite(id, { offset: 64 * KiB, length: 64 * KiB, seed: n });
  ids.set(name, id.toLowerCase());
}

async function request(changes: Partial<BackupRequest> = {}): Promise<BackupRequest> {
  const path = await mkdtemp(join(folder, 'repo-'));
  await createRepository(await openDirectoryStore(path, { create: true }), { encryption: 'none' });
  const drive = (letter: string) => ({ from: `${letter}:\\`, to: join(lab.volumesFolder, letter) });
  return {
    host: {
      name: 'hv1',
      url: wire.url,
      user: account.user,
      password: async () => new Secret(account.password),
      files: { kind: 'fs', mappings: [drive('C'), drive('D')] },
      viaSsh: false,
    },
    repository: { path, unlock: () => assert.fail('it is not encrypted') },
    vms: [],
    all: true,
    full: false,
    skipUnprotectable: false,
    audit: 'off',
    policies: [],
    limits: { parallel: 4, perHost: 4, perVolume: 4 },
    ...changes,
  };
}

/** Counts the VMs under way by their volumes, and calls `begun` when one has been frozen. */
class Counting {
  readonly most = { all: 0, C: 0, D: 0 };
  readonly order: string[] = [];
  readonly #now = { all: 0, C: 0, D: 0 };
  readonly #frozen: (count: number) => void;
  #count = 0;

  constructor(frozen: (count: number) => void = () => {}) {
    this.#frozen = frozen;
  }

  get progress(): Progress {
    return {
      ...silentProgress,
      branch: (name) => {
        this.order.push(name);
        const volume = Number(name.slice(2)) % 5 === 0 ? 'D' : 'C';
        this.#add('all', 1);
        this.#add(volume, 1);
        return {
          ...silentProgress,
          phase: (phase) => {
            if (/^(full|compare|delta) /.test(phase)) this.#frozen((this.#count += 1));
          },
          end: () => {
            this.#add('all', -1);
            this.#add(volume, -1);
          },
        };
      },
    };
  }

  #add(of: 'all' | 'C' | 'D', by: number): void {
    this.#now[of] += by;
    this.most[of] = Math.max(this.most[of], this.#now[of]);
  }
}

async function run(
  asked: BackupRequest,
  progress = new Counting().progress,
  signal = new AbortController().signal,
) {
  const runs: BackupRun[] = [];
  for await (const each of backupEngine.backup(asked, { progress, signal })) runs.push(each);
  return runs;
}

async function traces(): Promise<{ checkpoints: number; referencePoints: number }> {
  await lab.settle();
  const all = await Promise.all([...ids.values()].map((id) => lab.vm(id)));
  return {
    checkpoints: all.reduce((sum, { checkpoints }) => sum + checkpoints.length, 0),
    referencePoints: all.reduce((sum, { referencePoints }) => sum + referencePoints.length, 0),
  };
}

test('thirty VMs within the caps of run and volume, each with a point; then each an increment', async () => {
  const asked = await request({ limits: { parallel: 6, perHost: 6, perVolume: 4 } });
  const counting = new Counting();
  const runs = await run(asked, counting.progress);
  assert.deepEqual(runs.flatMap(({ error, warnings }) => [error, ...warnings]).filter(Boolean), []);
  assert.equal(new Set(runs.map(({ pointId }) => pointId)).size, VMS);
  assert.deepEqual(counting.most, { all: 6, C: 4, D: counting.most.D });
  assert.ok(counting.most.D >= 2 && counting.most.D <= 4, `${counting.most.D} of volume D`);
  const again = await run({ ...asked, all: false, vms: ['#daily', 'vm01'], except: ['vm06'] });
  const daily = [...ids.keys()].filter((name) => Number(name.slice(2)) % 6 === 0 && name !== 'vm06');
  assert.deepEqual(again.map(({ vm }) => vm.name).toSorted(), [...daily, 'vm01'].toSorted());
  for (const { disks } of again) assert.equal(disks[0]!.kind, 'delta');
  assert.deepEqual(await traces(), { checkpoints: 0, referencePoints: VMS });
});

test('cancelled with four under way: no checkpoint stays, nothing more begins, and the next run is whole', async () => {
  const asked = await request({ vms: ['vm0?'], all: false, except: ['vm08', 'vm09'] });
  const controller = new AbortController();
  const cancelled = new Error('Ctrl-C');
  const counting = new Counting((frozen) => {
    if (frozen === 3) controller.abort(cancelled);
  });
  await assert.rejects(run(asked, counting.progress, controller.signal), (error) => error === cancelled);
  assert.ok(counting.order.length <= 6, `${counting.order.length} had begun`);
  assert.equal((await traces()).checkpoints, 0);
  const runs = await run(asked);
  assert.equal(runs.filter(({ pointId }) => pointId !== undefined).length, 8);
  assert.deepEqual(
    runs.flatMap(({ warnings }) => warnings),
    [],
  );
});

test('what is wrong with one VM is in its record; the others are backed up', async () => {
  const asked = await request({ vms: ['vm10', 'gone', 'vm11'], all: false });
  const runs = await run(asked);
  const failed = runs.filter(({ error }) => error !== undefined);
  assert.deepEqual(
    failed.map(({ vm, error }) => [vm.name, hasCode(error, 'HYPERV_VM_NOT_FOUND')]),
    [['gone', true]],
  );
  assert.equal(runs.filter(({ pointId }) => pointId !== undefined).length, 2);
});

test('a plan names the VMs with their volumes and policies, and leaves no trace on the host', async () => {
  const before = await traces();
  const asked = await request({
    vms: ['#weekly', 'vm05'],
    all: false,
    policies: [{ match: '#weekly', consistency: 'application-required', truncateLogs: true }],
  });
  const signal = new AbortController().signal;
  const planned = await Array.fromAsync(backupEngine.planBackup(asked, { progress: silentProgress, signal }));
  assert.deepEqual(
    planned.map(({ name, host, volumes, consistency, truncateLogs }) => [
      name,
      host,
      volumes,
      consistency,
      truncateLogs,
    ]),
    [
      ...['vm03', 'vm09', 'vm15', 'vm21', 'vm27'].map((name) => [
        name,
        'hv1',
        [name === 'vm15' ? 'd:' : 'c:'],
        'application-required',
        true,
      ]),
      ['vm05', 'hv1', ['d:'], 'application-preferred', false],
    ],
  );
  assert.deepEqual(await traces(), before);
});

test('the janitor asks every repository that opens, names the one that does not, and shows every VM once', async () => {
  const asked = await request();
  const locked = await mkdtemp(join(folder, 'repo-'));
  const secret = { passphrase: 'correct horse battery staple' };
  await createRepository(await openDirectoryStore(locked, { create: true }), { encryption: secret });
  const unlock = () =>
    Promise.reject(secretFaults.noTerminal({ what: 'a passphrase', instead: 'name a file' }));
  const ledger = async () => new ReferencePointLedger(createMemoryStore());
  const engine = createJanitorEngine(ledger, join(folder, 'no replicas'));
  const remarks: Warning[] = [];
  const call = {
    host: asked.host,
    repositories: [
      { ...asked.repository, name: 'open' },
      { path: locked, name: 'locked', unlock },
    ],
    dryRun: true,
    byHand: false,
    mergeMinutes: 1,
    remark: (warning: Warning) => void remarks.push(warning),
  };
  const { signal } = new AbortController();
  const found = await Array.fromAsync(engine.janitor(call, { progress: silentProgress, signal }));
  assert.deepEqual(
    remarks.map(({ code, message }) => [code, / locked /.test(message)]),
    [['CLI_REPOSITORY_NOT_ASKED', true]],
  );
  assert.deepEqual(found.map(({ vm }) => vm.name).toSorted(), [...ids.keys()].toSorted());
  assert.ok(found.every((vm) => vm.found!.chainFiles === 1 && vm.found!.ourReferencePoints === 0));
});
