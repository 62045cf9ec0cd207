/** An engine without hosts: remembers what it was asked, answers with small records. */
import {
  cutoverFaults,
  type CutoverPlan,
  type CutoverRecord,
  type DiskFileInfo,
  type FoldRecord,
  type PruneRecord,
  type RehearsalRun,
} from '../flows/index.ts';
import type { CollectReport } from '../repository/index.ts';
import type {
  BackupRun,
  DiskChanges,
  Engine,
  HostReport,
  JanitorVm,
  KeyAdded,
  NewKey,
  PointSummary,
  RepairRun,
  RepositoryStatus,
  RestoreRun,
  Sizes,
  VerifyRun,
} from './engine.ts';
import type { ReplicaSummary } from './replicate-port.ts';
import { Secret } from './secret.ts';

export const WEB01 = { id: '6b1f3f0e-58a1-4d5e-9a0c-0c8f5d1c2a11', name: 'web01' };
export const PASSPHRASE = 'correct horse battery staple';
export const PASSWORD = 'Tr0ub4dor&3';

const GiB = 1024 ** 3;

export const SIZES: Sizes = {
  virtual: 64 * GiB,
  allocated: 20 * GiB,
  read: 3 * GiB,
  changed: 2 * GiB,
  new: GiB,
  stored: 512 * 1024 ** 2,
};

const DISK = {
  number: 1,
  id: '0d9a4e57-8f1c-4b34-a6b2-6f0a0c5b7e01',
  path: 'C:\\VMs\\web01.vhdx',
  kind: 'delta',
  reason: 'changed since point 20261122',
  sizes: SIZES,
} as const;

export function backupRun(changes: Partial<BackupRun> = {}): BackupRun {
  return {
    runId: 'run-1',
    vm: WEB01,
    host: 'hv1',
    startedAt: '2026-11-23T08:00:00.000Z',
    finishedAt: '2026-11-23T08:00:30.000Z',
    seconds: 30,
    pointId: 'a1b2c3d4e5f6',
    consistency: { asked: 'application-preferred', reached: 'application' },
    disks: [{ ...DISK, seconds: 30 }],
    sizes: SIZES,
    warnings: [],
    ...changes,
  };
}

export function pointSummary(changes: Partial<PointSummary> = {}): PointSummary {
  return {
    id: 'a1b2c3d4e5f6a7b8',
    vm: WEB01,
    createdAt: '2026-11-23T08:00:00.000Z',
    consistency: { asked: 'application-preferred', reached: 'application' },
    disks: [DISK],
    sizes: SIZES,
    ...changes,
  };
}

const PRUNE_POINT = {
  vm: WEB01,
  createdAt: '2026-11-23T08:00:00.000Z',
  good: true,
};

export const PRUNED: PruneRecord = {
  dryRun: false,
  points: [
    { ...PRUNE_POINT, pointId: 'a1b2c3d4e5f6a7b8', keptBy: ['newest', 'daily'] },
    { ...PRUNE_POINT, pointId: 'b1b2c3d4e5f6a7b8', keptBy: ['pinned'], pin: 'case 17' },
    { ...PRUNE_POINT, pointId: 'c1b2c3d4e5f6a7b8', keptBy: [] },
  ],
  kept: 2,
  dropped: 1,
  warnings: [],
};

export const FOLDED: FoldRecord = {
  runId: '9f1c5a0e-0000-4000-8000-000000000001',
  dryRun: false,
  points: [
    {
      pointId: 'a1b2c3d4e5f6a7b8',
      vm: { id: WEB01.id, name: WEB01.name },
      createdAt: '2026-11-23T07:00:00.000Z',
      foldedInto: 'd1b2c3d4e5f6a7b8',
      disks: [
        {
          diskId: 'disk-1',
          path: 'C:\\VMs\\web01.vhdx',
          slots: 2000,
          pieces: 16_500,
          foldableSlots: 1000,
          foldableBytes: 1000 * 1024 ** 2,
          savedPieces: 14_500,
          foldedSlots: 900,
          newRawBytes: 900 * 1024 ** 2,
          newStoredBytes: 512 * 1024 ** 2,
        },
      ],
    },
  ],
  warnings: [],
};

const NO_PACKS = { packs: 0, bytes: 0 };

export const COLLECTED: CollectReport = {
  epoch: 3,
  points: 2,
  openSessions: 1,
  readers: 0,
  alive: { packs: 5, bytes: GiB },
  deadInAliveBytes: 1024,
  condemned: { packs: 2, bytes: 2 * 1024 ** 2 },
  revived: NO_PACKS,
  waiting: { packs: 1, bytes: 1024 ** 2 },
  deleted: { packs: 3, bytes: 3 * 1024 ** 2 },
  postponed: NO_PACKS,
  rewritten: NO_PACKS,
  segmentsDeleted: 1,
};

export const RESTORED: RestoreRun = {
  pointId: 'a1b2c3d4e5f6a7b8',
  vm: WEB01,
  consistency: { asked: 'application-preferred', reached: 'application' },
  disks: [
    {
      number: 1,
      id: DISK.id,
      path: '/restored/web01-disk1.vhdx',
      virtualBytes: 64 * GiB,
      writtenBytes: 20 * GiB,
      seconds: 40,
    },
  ],
  seconds: 41,
  warnings: [],
};

export const VERIFIED: VerifyRun = {
  points: 2,
  objects: 400,
  readBytes: 20 * GiB,
  seconds: 20,
  damaged: [],
  verified: { since: '2026-11-20T08:00:00.000Z', neverBytes: 0, totalBytes: 21 * GiB },
  warnings: [],
};

export const REPAIRED: RepairRun = {
  applied: true,
  packs: 3,
  objects: 400,
  unknownObjects: 0,
  damagedSegments: 0,
  missingPacks: [],
  damagedPacks: [],
  about: [],
  warnings: [],
};

const REACHED = { asked: 'application-preferred', reached: 'application' } as const;

export const STATUS: RepositoryStatus = {
  repositoryId: '9c1b',
  formatVersion: 1,
  encryption: 'aes-256-gcm',
  storedBytes: 21 * GiB,
  verified: { since: '2026-11-20T08:00:00.000Z', neverBytes: 0, totalBytes: 21 * GiB },
  vms: [
    {
      ...WEB01,
      points: 2,
      latest: { pointId: 'a1b2c3d4', createdAt: '2026-11-23T08:00:00.000Z', consistency: REACHED },
      baselines: [{ referencePointId: 'rp-1' }],
    },
  ],
  warnings: [],
};

const REPLICATED_DISK = {
  diskId: DISK.id,
  path: DISK.path,
  place: '/replicas/web01-disk1.raw',
  kind: 'delta',
  reason: 'changes-since-reference-point',
  virtualBytes: 64 * GiB,
  allocatedBytes: 20 * GiB,
  readBytes: 3 * 1024 ** 2,
  writtenBytes: 2 * 1024 ** 2,
  zeroedBytes: 1024 ** 2,
  seconds: 4,
} as const;

const REPLICA: ReplicaSummary = {
  id: '00112233aabbccdd',
  folder: '/state/00112233aabbccdd',
  vm: WEB01,
  target: 'dir:/replicas?format=raw',
  phase: 'idle',
  generation: { number: 2, time: '2026-11-23T08:00:00.000Z', consistency: REACHED },
  disks: [{ number: 1, id: DISK.id, place: '/replicas/web01-disk1.raw', inGeneration: true }],
  referencePoints: ['rp-2'],
};

const REHEARSED: RehearsalRun = {
  replica: REPLICA.id,
  vm: WEB01,
  time: '2026-11-23T09:00:00.000Z',
  generation: 2,
  asOf: '2026-11-23T08:00:00.000Z',
  hypervisor: 'qemu:/rehearsal',
  conversion: 'compatible',
  probe: 'running',
  result: 'healthy',
  seconds: { clone: 0.1, start: 1, health: 9 },
  warnings: [],
};

const CUTOVER_PLAN: CutoverPlan = {
  replica: REPLICA.id,
  vm: WEB01,
  target: REPLICA.target!,
  generation: 2,
  hypervisor: 'libvirt at qemu:///system',
  machine: { name: 'web01', uuid: WEB01.id },
  choices: {
    hypervisor: 'libvirt:qemu:///system',
    folder: REPLICA.folder,
    deltaTargetBytes: 64 * 1024 ** 2,
    preCopiesMax: 5,
    shutdownSeconds: 300,
    verify: 'sample',
    skipUnprotectable: false,
    machine: {},
    conversion: 'compatible',
    probe: { kind: 'running' },
    probeSeconds: 10,
  },
  forecast: {
    cycles: 9,
    changedBytes: [0, 1024 ** 2, 9 * 1024 ** 2],
    seconds: [2, 3, 9],
    wellSeconds: [14, 16, 30],
  },
  warnings: [],
};

export const CUT_OVER: CutoverRecord = {
  type: 'cutover',
  runId: 'run-1',
  replica: REPLICA.id,
  vm: WEB01,
  hypervisor: 'libvirt at qemu:///system',
  step: 'healthy',
  startedAt: '2026-11-23T08:00:00.000Z',
  machine: WEB01.id,
  downtimeSeconds: 12.5,
  offSeconds: 2.5,
  healthySeconds: 10,
  final: { generation: 4, readBytes: 1024 ** 2, changedBytes: 1024 ** 2, seconds: 1.5, rounds: 1 },
  verified: { comparedBytes: 9 * 1024 ** 2, seconds: 0.5 },
};

export const DISK_FILE: DiskFileInfo = {
  path: DISK.path,
  foundBy: 'named',
  format: 'vhdx',
  kind: 'dynamic',
  virtualBytes: 64 * GiB,
  fileBytes: 2 * GiB,
  occupiedBytes: GiB,
  blockSize: 32 * 1024 ** 2,
  logicalSectorSize: 512,
  physicalSectorSize: 4096,
  virtualDiskId: DISK.id,
  dataWriteGuid: '5d0e0c6b-29f0-4a7f-8d5b-8e0b6a1c9d02',
  fileWriteGuid: '5d0e0c6b-29f0-4a7f-8d5b-8e0b6a1c9d03',
  creator: 'Microsoft Windows 10.0.20348.0',
  trackingFiles: [],
};

const JANITOR_FOUND: NonNullable<JanitorVm['found']> = {
  checkpoints: [
    { instanceId: 'c-1', name: 'hvlift 9c1b run-0', kind: 'recovery', state: 'removed', repository: 'main' },
    { instanceId: 'c-2', name: 'before update', kind: 'user', state: 'foreign' },
  ],
  removedReferencePoints: ['rp-0'],
  marks: [{ instanceId: 'rp-1', owner: { kind: 'repository', name: 'main' } }],
  ourReferencePoints: 1,
  otherReferencePoints: 2,
  merge: 'merged',
  chainFiles: 2,
  avhdxFiles: 1,
  avhdxBytes: 3 * GiB,
  volumes: [{ name: 'C:\\', capacity: 100 * GiB, free: 40 * GiB }],
};

const HOST_REPORT: HostReport = {
  computerName: 'HV1',
  system: 'Windows Server 2022',
  checks: [{ name: 'sign in', detail: 'as EXAMPLE\\backup' }],
};

export const RECOVERY_KEY = 'AAAA-BBBB-CCCC-DDDD';

export const KEY_SLOTS = [
  { slot: '0123456789abcdef', kind: 'passphrase', createdAt: '2026-11-23T08:00:00.000Z' },
  { slot: 'fedcba9876543210', kind: 'recovery-key' },
] as const;

function keyAdded(secret: NewKey): KeyAdded {
  const slot = '00112233aabbccdd';
  return secret === 'recovery-key' ? { slot, recoveryKey: new Secret(RECOVERY_KEY) } : { slot };
}

/** What was asked of the engine: the name of each call and its first argument. */
export type Calls = { readonly call: string; readonly request: unknown }[];

export function fakeEngine(overrides: Partial<Engine> = {}): { engine: Engine; calls: Calls } {
  const calls: Calls = [];
  const engine: Engine = { ...ANSWERS, ...overrides };
  const recorded = Object.fromEntries(
    Object.entries(engine).map(([call, answer]) => [
      call,
      (request: unknown, ...rest: unknown[]) => {
        calls.push({ call, request });
        return (answer as (...args: unknown[]) => unknown)(request, ...rest);
      },
    ]),
  );
  return { engine: recorded as unknown as Engine, calls };
}

/** Real engines ask for what they need to open; so does this one. */
const ANSWERS: Engine = {
  async testHost(host) {
    await host.password();
    return HOST_REPORT;
  },
  async *diagnose(host) {
    await host.password();
    yield { id: 'name', title: 'name', state: 'ok', seen: 'hv1.example.com is 192.0.2.1' };
  },
  async *diagnoseRepository() {
    yield { id: 'reach', title: 'the place', state: 'ok', seen: 'it answers' };
  },
  async record({ host, to }) {
    await host.password();
    const replaced = { word: 40, guid: 12, mac: 1, ipv4: 2, ipv6: 0 };
    return {
      path: to,
      bytes: 90_000,
      exchanges: 30,
      replaced,
      vms: 1,
      names: [{ original: 'web01', pseudonym: 'qrt12' }],
    };
  },
  async vms(host) {
    await host.password();
    return [{ ...WEB01, state: 'running', generation: 2, disks: 1, virtualBytes: 64 * GiB, obstacles: [] }];
  },
  async createRepository({ encryption }) {
    if (encryption === 'none') return { repositoryId: '9c1b', encryption };
    return { repositoryId: '9c1b', encryption: 'aes-256-gcm', recoveryKey: new Secret(RECOVERY_KEY) };
  },
  async repositoryStatus(repository) {
    await repository.unlock();
    return STATUS;
  },
  async keySlots() {
    return { slots: KEY_SLOTS };
  },
  async addKey({ repository, secret }) {
    await repository.unlock();
    return keyAdded(secret);
  },
  async removeKey({ repository }) {
    await repository.unlock();
    return KEY_SLOTS[0];
  },
  async rotateKey({ repository, secret }, told) {
    await repository.unlock();
    await told(keyAdded(secret));
    return KEY_SLOTS[0];
  },
  async *backup(request) {
    await request.host.password();
    await request.repository.unlock();
    for (const name of request.vms) yield backupRun({ vm: { ...WEB01, name } });
  },
  async *planBackup(request) {
    await request.host.password();
    for (const name of request.vms) {
      const asked = { consistency: 'application-preferred', truncateLogs: false } as const;
      yield { ...WEB01, name, host: 'hv1', volumes: ['c:'], ...asked };
    }
  },
  async *points(repository) {
    await repository.unlock();
    yield pointSummary();
  },
  async *copyPoints({ repository, to, points }) {
    await repository.unlock();
    await to.unlock();
    for (const pointId of points) {
      const createdAt = '2026-11-23T08:00:00.000Z';
      yield { pointId, vm: WEB01, createdAt, present: false, readBytes: GiB, storedBytes: GiB / 2 };
    }
  },
  async showPoint({ repository }) {
    await repository.unlock();
    return { ...pointSummary(), losses: [], host: 'hv1', runId: 'run-1', warnings: [] };
  },
  async *restoreStream({ repository }) {
    await repository.unlock();
    yield Buffer.from('bytes of ');
    yield Buffer.from([0, 255, 10]);
  },
  async servePoint({ repository }, _task, use) {
    await repository.unlock();
    await use({
      pointId: '1',
      vm: WEB01,
      consistency: REACHED,
      created: '2026-11-23T00:00:00Z',
      exports: [],
      warnings: [],
    });
  },
  async runMachine() {},
  async restore({ repository }) {
    await repository.unlock();
    return RESTORED;
  },
  async verify({ repository }) {
    await repository.unlock();
    return VERIFIED;
  },
  async checkDisk({ path }) {
    return { path, format: 'vhdx', sound: true, findings: [], moreFindings: 0, virtualBytes: 64 * GiB };
  },
  async diskInfo({ path }) {
    const held = { heldBytes: GiB, heldByChainBytes: GiB };
    return { ...DISK_FILE, path, parents: [], ...held, damaged: false, warnings: [] };
  },
  async mapDisk({ path }, _task, use) {
    const runs = [
      { offset: 0, length: GiB, kind: 'data', layer: 0, fileOffset: 4 * 1024 ** 2 },
      { offset: GiB, length: 63 * GiB, kind: 'hole' },
    ] as const;
    const files = [{ path, foundBy: 'named' }] as const;
    const totals = {
      data: { bytes: GiB, runs: 1 },
      zero: { bytes: 0, runs: 0 },
      hole: { bytes: 63 * GiB, runs: 1 },
    };
    return use({ virtualBytes: 64 * GiB, files, runs: inTurn(runs), totals });
  },
  async convertDisk({ path, target, format, verify }) {
    const sizes = { virtualBytes: 64 * GiB, writtenBytes: GiB };
    return { source: path, sourceFormat: 'vhdx', target, format, ...sizes, verified: verify, seconds: 2 };
  },
  async *convertStream() {
    yield Buffer.from('bytes of ');
    yield Buffer.from([0, 255, 10]);
  },
  async compareDisks({ path, other }) {
    return { paths: [path, other], equal: true, virtualBytes: [GiB, GiB], comparedBytes: 0 };
  },
  async hashDisk({ path, tree }) {
    const algorithm = tree ? 'hvlift-tree-1' : 'sha256';
    return { path, algorithm, hash: 'ab'.repeat(32), virtualBytes: 64 * GiB, readBytes: GiB };
  },
  async prune({ repository, dryRun }) {
    await repository.unlock();
    return { ...PRUNED, dryRun };
  },
  async collect({ repository }) {
    await repository.unlock();
    return COLLECTED;
  },
  async fold({ repository, dryRun }) {
    await repository.unlock();
    return { ...FOLDED, dryRun };
  },
  async pinPoint({ repository, reason }) {
    await repository.unlock();
    return { pointId: 'a1b2c3d4e5f6a7b8', vmId: WEB01.id, reason, pinned: '2026-11-23T08:00:00.000Z' };
  },
  async unpinPoint({ repository }) {
    await repository.unlock();
    return { pointId: 'a1b2c3d4e5f6a7b8', wasHeld: true };
  },
  async repair({ repository, apply }) {
    await repository.unlock();
    return { ...REPAIRED, applied: apply };
  },
  async *replicate({ host, vm, target }) {
    await host.password();
    yield {
      vm: { ...WEB01, name: vm },
      target,
      generation: 2,
      startedAt: '2026-11-23T08:00:00.000Z',
      finishedAt: '2026-11-23T08:00:05.000Z',
      seconds: 5,
      consistency: REACHED,
      disks: [REPLICATED_DISK],
      warnings: [],
    };
  },
  async replicas() {
    return [REPLICA];
  },
  async showReplica() {
    return REPLICA;
  },
  async settleReplica() {
    return REPLICA;
  },
  async rollReplica({ to }) {
    const moment = 'generation' in to ? { rolledTo: to.generation } : { point: 'a1b2c3d4e5f6a7b8' };
    if ('repository' in to) await to.repository.unlock();
    const { id: replica, vm = WEB01, target = '' } = REPLICA;
    const about = { replica, vm, target, generation: 3, asOf: '2026-11-23T07:00:00.000Z', seconds: 1 };
    return { type: 'roll', ...about, ...moment, disks: [REPLICATED_DISK], warnings: [] };
  },
  async removeReplica({ host }) {
    await host?.password();
    return REPLICA;
  },
  async rehearse({ probe, keep }) {
    return {
      ...REHEARSED,
      probe: probe.kind,
      ...(keep ? { kept: { machine: 'id-of-machine', folder: '/rehearsal' } } : {}),
    };
  },
  async endRehearsal() {
    const rehearsal = {
      machine: 'id-of-machine',
      hypervisor: 'qemu:/rehearsal',
      folder: '/rehearsal',
      generation: 2,
      startedAt: '2026-11-23T09:00:00.000Z',
    };
    return { replica: REPLICA.id, vm: WEB01, rehearsal };
  },
  async cutover({ host, action }, _task, { agree }) {
    await host.password();
    if (action === 'plan' || action === 'begin') {
      const agreed = await agree(CUTOVER_PLAN);
      if (action === 'plan') return undefined;
      if (!agreed) throw cutoverFaults.declined();
    }
    return CUT_OVER;
  },
  async failBack({ to }) {
    const sizes = { virtualBytes: 64 * GiB, writtenBytes: 1024 ** 2, zeroedBytes: 0 };
    const disk = { diskId: DISK.id, place: `${to}/web01-disk1.vhdx`, isNew: false, ...sizes };
    return { type: 'failback', replica: REPLICA.id, vm: WEB01, disks: [disk], seconds: 4 };
  },
  async enableRct() {
    return {
      id: 'rp-1',
      vm: WEB01,
      consistency: 'crash',
      disks: [{ id: DISK.id, path: DISK.path, rctId: 'rctX:1' }],
    };
  },
  async *changedBlocks() {
    yield diskChanges([
      { offset: 0, length: 65536 },
      { offset: 1024 ** 2, length: 4096 },
    ]);
  },
  async *janitor({ host }) {
    await host.password();
    yield { vm: WEB01, found: JANITOR_FOUND, warnings: [] };
  },
  async resetRct() {
    return { vm: WEB01, removed: ['rp-1'] };
  },
};

async function* inTurn<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

export function diskChanges(extents: readonly { offset: number; length: number }[]): DiskChanges {
  return {
    number: 1,
    id: DISK.id,
    path: DISK.path,
    virtualBytes: 64 * GiB,
    extents: inTurn(extents),
  };
}
