/**
 * The whole main job in one process: an emulated host with one VM, the repository, and our client between them; beside it a
 * stranger who works on the same VM, and what the test knows about all of it.
 *
 * Time is moved by hand: whoever waits for the host moves it, so that a wait of 20 s costs nothing.
 */
import { join } from 'node:path';
import { KiB, MiB, sleep } from '../../src/base/index.ts';
import { createHyperVSource, type Source } from '../../src/capture/index.ts';
import type { BackupDeps } from '../../src/flows/index.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import { createHyperV, type HyperV, type HyperVClock } from '../../src/hyperv/index.ts';
import { createMemoryStore, layered, type ObjectStore, type StoreCall } from '../../src/objectstore/index.ts';
import { createRepository, openRepository, type Repository } from '../../src/repository/index.ts';
import { openWinrm, type CimSession } from '../../src/winrm/index.ts';
import type { LabCimProvider } from '../../lab/cim.ts';
import { INSTANT, LabHost, ManualClock, type VmInfo } from '../../lab/model/index.ts';
import { scratch } from '../../lab/model/scratch.fixture.ts';
import { startWire } from '../../lab/wire/index.ts';
import { ClusterProgram } from './cluster-program.ts';
import { Knowledge } from './knowledge.ts';
import { ProviderSession } from './provider-session.ts';
import { ReadAudit } from './read-audit.ts';
import { Schedule, ScheduledSession } from './schedule.ts';
import type { Tally } from './tally.ts';
import { watchCall } from './watch.ts';

export interface Setup {
  /** Bytes of the disks the VM has at first. */
  readonly disks: readonly { readonly size: number; readonly sector: 512 | 4096 }[];
  /** The client speaks WinRM over a socket instead of to the model; or as the test says. */
  readonly wire: boolean | OpenSession;
  readonly encrypted: boolean;
  /** Our program, when it does not simply speak to the one host by the session. */
  readonly program?: (host: ProgramHost) => Program;
  /** The share of changed granules the host keeps back; default: none. */
  readonly lies?: number;
  /** The host is a cluster of nodes between which the VM moves. */
  readonly cluster?: boolean;
  /** Bytes of the grid the host tracks changes on. */
  readonly granularity: number;
  /** What tracking ids of after a checkpoint are worth once a user went back to it; default: the host refuses them. */
  readonly undoneIds?: 'refused' | 'answered';
}

/** What works on the host in our name. */
export interface Program {
  readonly source: Source;
  readonly hyperv: HyperV;
}

export interface ProgramHost {
  readonly lab: () => LabHost;
  readonly clock: HyperVClock;
  /** Every call of the program goes through it, by {@link ScheduledSession}. */
  readonly schedule: Schedule;
  readonly files: HostFiles;
  readonly session: CimSession;
}

/** A session of the test's own making; what it opens it leaves to `owned`. */
export type OpenSession = (host: SessionHost, owned: AsyncDisposableStack) => Promise<CimSession>;

export interface SessionHost {
  readonly provider: LabCimProvider;
  readonly clock: ManualClock;
  /** Jobs and merges that wait for nothing but their work have ended. */
  readonly settle: () => Promise<void>;
}

/** Account of everybody but us: what is rehearsed for our calls does not happen to theirs. */
export const STRANGER = 'HV01\\Somebody';
const PASSPHRASE = 'a passphrase for this test';

export class World {
  readonly schedule = new Schedule();
  readonly knowledge = new Knowledge();
  /** What was broken in the middle of a run, where throwing would only be one more failed call to it. */
  readonly violations: string[] = [];
  readonly store = createMemoryStore();
  readonly vmId: string;
  readonly tally: Tally;
  /** What the host keeps back of its changes from now on, as a share. A world that begins without lies is never told any. */
  lies: number;
  /** Its host lies, or did: what is wrong may stand until the audit comes by, and not longer. */
  readonly lied: boolean;
  readonly folder: string;
  readonly audit: ReadAudit;
  /** Somebody else with an account on the host: nothing that happens to us happens to them. */
  readonly stranger: HyperV;
  readonly #ours: Program;
  /** Of an encrypted repository, which is opened with it: the passphrase takes half a second each time, on purpose. */
  #recoveryKey: string | undefined;
  #looker: Repository | undefined;
  readonly #cluster: ClusterProgram | undefined;
  readonly #parts: Parts;

  private constructor(setup: Setup, parts: Parts, vmId: string, tally: Tally) {
    this.tally = tally;
    this.lies = setup.lies ?? 0;
    this.lied = this.lies > 0;
    this.#parts = parts;
    this.vmId = vmId;
    this.folder = parts.folder;
    const files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(parts.lab.volumesFolder, 'C') }] });
    this.audit = new ReadAudit(files, this.schedule);
    this.schedule.watch = (call, input) => watchCall(this, call, input);
    const clock = clockOf(parts);
    const { audit, schedule } = this;
    const lab = (): LabHost => parts.lab;
    if (setup.cluster) this.#cluster = new ClusterProgram();
    const program = setup.program ?? this.#cluster?.open ?? plainProgram;
    this.#ours = program({ lab, clock, schedule, files: audit, session: parts.session });
    this.stranger = createHyperV(new ProviderSession(() => parts.lab.provider, STRANGER), { clock });
  }

  static async open(setup: Setup, tally: Tally): Promise<World> {
    await using owned = new AsyncDisposableStack();
    const { folder } = owned.use(await scratch());
    const clock = new ManualClock(new Date());
    const changes = { granularityBytes: setup.granularity };
    const { undoneIds = 'refused' } = setup;
    const settings = { ...INSTANT, changes, undoneIds, regionBytes: MiB, vssTimeoutMs: 0 };
    const openHost = (): Promise<LabHost> => LabHost.open(folder, { settings, clock });
    const parts: Parts = { folder, clock, openHost, lab: await openHost(), session: undefined as never };
    owned.defer(() => parts.lab.close());
    const session = await openSession(setup, parts, owned);
    const vm = await parts.lab.createVm({ name: `web'01 \\ 100%` });
    for (const { size, sector } of setup.disks) await parts.lab.addDisk(vm.id, diskSpec(size, sector));
    const world = new World(setup, Object.assign(parts, { session }), vm.id.toLowerCase(), tally);
    const encryption = setup.encrypted ? { passphrase: PASSPHRASE } : 'none';
    const { repository, recoveryKey } = await createRepository(world.store, { encryption });
    await repository.close();
    if (recoveryKey !== undefined) world.#recoveryKey = recoveryKey;
    parts.owned = owned.move();
    return world;
  }

  get lab(): LabHost {
    return this.#parts.lab;
  }

  get clock(): ManualClock {
    return this.#parts.clock;
  }

  vm(): Promise<VmInfo> {
    return this.lab.vm(this.vmId);
  }

  /** A repository as another process would open it, not disturbed. */
  repository(store: ObjectStore = this.store): Promise<Repository> {
    const recoveryKey = this.#recoveryKey;
    return openRepository(store, recoveryKey === undefined ? {} : { recoveryKey });
  }

  /** The same, opened once for all who look at it between two runs. Not for the middle of a run. */
  async looker(): Promise<Repository> {
    this.#looker ??= await this.repository();
    return this.#looker;
  }

  /** What a run of ours works with: everything it does is in the schedule. */
  async deps(): Promise<BackupDeps & { repository: Repository }> {
    const store = layered(this.store, (call, run) => this.schedule.around(storeCall(call), run));
    this.#looker = undefined; // whoever looks next must see what the run stores
    const { source, hyperv } = this.#ours;
    return {
      source,
      repository: await this.repository(store),
      resolveVm: (vm, options) => hyperv.vm(vm, options),
    };
  }

  /** The VM moves to the next node, if there are nodes. */
  async move(): Promise<void> {
    if (!this.#cluster) return;
    await this.#cluster.moveOn(this.vmId);
    this.tally.count('the VM moved to another node');
  }

  /** The host restarts, or loses power: its services begin anew over the same files. */
  async restartHost({ clean }: { clean: boolean }): Promise<void> {
    await (clean ? this.lab.close() : this.lab.losePower());
    const { options } = this.lab;
    this.#parts.lab = await this.#parts.openHost();
    await this.lab.configure(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.audit.close();
    await this.#parts.owned!.disposeAsync();
  }
}

function plainProgram({ session, schedule, clock, files }: ProgramHost): Program {
  const hyperv = createHyperV(new ScheduledSession(session, schedule), { clock });
  return { hyperv, source: createHyperVSource({ hyperv, files, hostName: 'HV01' }) };
}

interface Parts {
  readonly folder: string;
  readonly clock: ManualClock;
  readonly openHost: () => Promise<LabHost>;
  readonly session: CimSession;
  lab: LabHost;
  owned?: AsyncDisposableStack;
}

export function diskSpec(size: number, sector: 512 | 4096) {
  const whole = Math.ceil(size / sector) * sector;
  return { size: whole, blockSize: MiB, logicalSectorSize: sector, physicalSectorSize: 4096 } as const;
}

async function openSession(setup: Setup, parts: Parts, owned: AsyncDisposableStack): Promise<CimSession> {
  const provider = currentProvider(parts);
  if (!setup.wire) return new ProviderSession(() => provider);
  if (setup.wire !== true)
    return setup.wire({ provider, clock: parts.clock, settle: () => settled(parts.lab) }, owned);
  const account = { user: 'Administrator', password: 'Passw0rd of a test' };
  const wire = await startWire({ provider, users: [account] });
  owned.defer(() => wire.close());
  return owned.use(await openWinrm({ url: wire.url, credentials: account }));
}

/** The provider of the host that runs now: a restart brings a new one. */
function currentProvider(parts: Parts): LabCimProvider {
  return {
    namespace: parts.lab.provider.namespace,
    hostName: parts.lab.provider.hostName,
    classes: parts.lab.provider.classes,
    instances: (...call) => parts.lab.provider.instances(...call),
    invoke: (...call) => parts.lab.provider.invoke(...call),
  };
}

/** Real time, for a host that would never settle; jobs and merges take milliseconds, on a busy machine some hundred. */
const SETTLE_MS_MAX = 5_000;

/** Whoever waits moves the time, and the host gets as far as it can: so 20 s of waiting cost nothing, and jobs are never late. */
function clockOf(parts: Parts): HyperVClock {
  return {
    now: () => parts.clock.now(),
    async sleep(milliseconds, signal) {
      signal?.throwIfAborted();
      await parts.clock.advance(Math.ceil(milliseconds));
      await settled(parts.lab);
      signal?.throwIfAborted();
    },
  };
}

async function settled(lab: LabHost): Promise<void> {
  const over = new AbortController();
  const tooLong = sleep(SETTLE_MS_MAX, over.signal).catch(() => {});
  await Promise.race([lab.settle(), tooLong]);
  over.abort();
}

const CHANGES: ReadonlySet<StoreCall['method']> = new Set(['putNew', 'commit', 'delete']);

function storeCall({ method, name }: StoreCall) {
  return { peer: 'store', name: `${method} ${name}`, changes: CHANGES.has(method) } as const;
}

/** What grids and sizes are drawn from: small, so that thousands of sequences are affordable, and odd. */
export const GRANULARITIES = [512, 4 * KiB, 64 * KiB, MiB] as const;
