/**
 * `npm run bench -- --only cutover`: how long a VM is off when 64 MiB are left to bring, from where its host is seen to have it off to
 * the order to start it on the other side. The host is the lab with its wire, in this process; the guest is one sector long, and
 * runs in QEMU on the other side, so its own start is next to nothing.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes, KiB, MiB, silentProgress } from '../src/base/index.ts';
import {
  cutOver,
  openOtherSide,
  replicateVm,
  type CutoverConnect,
  type CutoverRecord,
} from '../src/flows/index.ts';
import { bootSector, READY } from '../src/hypervisors/tiny-guest.fixture.ts';
import { openTarget } from '../src/targets/index.ts';
import { openLabStack, type LabStack } from '../test/e2e/lab-stack.fixture.ts';
import { table } from './report.ts';

export interface CutoverOptions {
  readonly folder: string;
  /** The VM has two disks: one of this size with an eighth of it data, and one of a quarter of that. */
  readonly diskBytes: number;
  /** What the guest writes last, in runs of 64 KiB spread over the first disk. */
  readonly lastBytes: readonly number[];
  readonly rounds: number;
  readonly say: (text: string) => void;
}

const RUN_BYTES = 64 * KiB;
const CHOICES = {
  hypervisor: 'qemu',
  deltaTargetBytes: 64 * MiB,
  preCopiesMax: 1,
  shutdownSeconds: 60,
  skipUnprotectable: false,
  machine: { memoryMiB: 32 },
  conversion: 'compatible',
  probe: { kind: 'serial', text: READY },
  probeSeconds: 60,
} as const;

export async function cutoverReport(options: CutoverOptions): Promise<string> {
  const { lastBytes, rounds, say } = options;
  await using moving = await MovingVm.open(options);
  const rows: string[][] = [];
  for (const bytes of lastBytes)
    for (const verify of ['sample', 'none'] as const)
      for (let round = 1; round <= rounds; round += 1) {
        say(`cutover with ${formatBytes(bytes)} left, compared: ${verify}; ${round} of ${rounds}`);
        rows.push(rowOf(await moving.move(bytes, verify), verify));
      }
  const head = ['last delta', 'compared', 'delta, s', 'comparison, s', 'off, s', 'well after, s'];
  return ['### A cutover', '', ...table(head, rows)].join('\n');
}

function rowOf(record: CutoverRecord, verify: string): string[] {
  const { final, verified, offSeconds, healthySeconds } = record;
  const seconds = (value = 0): string => value.toFixed(2);
  return [
    formatBytes(final!.changedBytes),
    verify,
    seconds(final!.seconds),
    seconds(verified?.seconds),
    seconds(offSeconds),
    seconds(healthySeconds),
  ];
}

interface Moved {
  readonly id: string;
  readonly diskId: string;
  readonly diskBytes: number;
}

/** Moved, and taken back, again and again. */
class MovingVm implements AsyncDisposable {
  readonly #stack: LabStack;
  readonly #folder: string;
  readonly #vm: Moved;
  #writes = 0;

  private constructor(stack: LabStack, folder: string, vm: Moved) {
    this.#stack = stack;
    this.#folder = folder;
    this.#vm = vm;
  }

  static async open({ folder, diskBytes }: CutoverOptions): Promise<MovingVm> {
    const stack = await openLabStack();
    const disks = [{ size: diskBytes }, { size: diskBytes / 4 }];
    const { id, disks: made } = await stack.lab.createVm({ name: 'moving', generation: 1, disks });
    const moving = new MovingVm(stack, folder, { id, diskId: made[0]!.diskId, diskBytes });
    await stack.lab.guestWrite(id, { diskId: made[0]!.diskId, offset: 0, bytes: bootSector() });
    await moving.#write(diskBytes / 8, MiB);
    await mkdir(join(folder, 'clones'));
    await moving.#cycle();
    return moving;
  }

  async move(lastBytes: number, verify: 'sample' | 'none'): Promise<CutoverRecord> {
    const record = await this.#run('begin', lastBytes, verify);
    await this.#run('rollback', 0, verify);
    return record;
  }

  /** Spread evenly, behind the sectors it starts from. */
  async #write(bytes: number, runBytes: number): Promise<void> {
    const { id, diskId, diskBytes } = this.#vm;
    this.#writes += 1;
    const runs = bytes / runBytes;
    const apart = Math.floor((diskBytes - MiB) / runs / RUN_BYTES) * RUN_BYTES;
    for (let run = 0; run < runs; run += 1) {
      const offset = MiB + run * apart;
      await this.#stack.lab.guestWrite(id, {
        diskId,
        offset,
        length: runBytes,
        seed: this.#writes * runs + run,
      });
    }
  }

  get #target(): ReturnType<typeof openTarget> {
    return openTarget(`dir:${join(this.#folder, 'replica')}`);
  }

  #cycle(): ReturnType<typeof replicateVm> {
    const { hyperv, source } = this.#stack;
    return replicateVm(
      { source, resolveVm: (vm) => hyperv.vm(vm) },
      { vm: 'moving', target: this.#target, stateFolder: join(this.#folder, 'state') },
    );
  }

  #run(action: 'begin' | 'rollback', lastBytes: number, verify: 'sample' | 'none'): Promise<CutoverRecord> {
    return cutOver(this.#connect(lastBytes), {
      replica: 'moving',
      stateFolder: join(this.#folder, 'state'),
      action,
      choices: { ...CHOICES, verify, folder: join(this.#folder, 'clones') },
      commit: false,
      force: false,
      progress: silentProgress,
      mayTurnOff: async () => false,
      agree: async () => true,
    });
  }

  /** What the guest writes last, it writes when it is asked to go. */
  #connect(lastBytes: number): CutoverConnect {
    const { hyperv, source } = this.#stack;
    const target = this.#target;
    return async (replica, choices) => {
      const host = hyperv.forVm(this.#vm.id.toLowerCase());
      const shutDown: typeof host.shutDown = async (...call) => {
        await this.#write(lastBytes, RUN_BYTES);
        return host.shutDown(...call);
      };
      const { clone, hypervisor } = await openOtherSide(replica, target, choices);
      return {
        source,
        host: { ...host, shutDown },
        target,
        clone,
        hypervisor,
        [Symbol.asyncDispose]: () => hypervisor.close(),
      };
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}
