/** What a cycle of a replica asks of its host: methods over the wire, reads of its files and bytes of them. */
import { join } from 'node:path';
import { createHyperVSource, type Source } from '../../src/capture/index.ts';
import { CountingReader, type ReadStats } from '../../src/disk/index.ts';
import { replicateVm, type ReplicateRecord } from '../../src/flows/index.ts';
import { createFsHostFiles, type HostFiles } from '../../src/hostfile/index.ts';
import { openTarget, type Target } from '../../src/targets/index.ts';
import { openLabStack, type LabStack } from './lab-stack.fixture.ts';

export interface CycleCost {
  readonly record: ReplicateRecord;
  /** Methods that the host was asked to run; how often it is asked for the state of a job depends on its speed. */
  readonly calls: number;
  readonly reads: number;
  readonly readBytes: number;
  readonly seconds: number;
}

/** A VM with one disk on a host of the lab, and a replica of it in a folder of VHDX files. */
export class MeasuredReplica implements AsyncDisposable {
  readonly stack: LabStack;
  readonly #vm: { readonly id: string; readonly diskId: string };
  readonly #folder: string;
  readonly #source: Source;
  readonly #files: HostFiles;
  readonly #reads: ReadStats = { reads: 0, readBytes: 0 };
  #calls = 0;

  private constructor(stack: LabStack, vm: { id: string; diskId: string }, folder: string) {
    this.stack = stack;
    this.#vm = vm;
    this.#folder = folder;
    this.#files = counted(stack, this.#reads);
    this.#source = createHyperVSource({ hyperv: stack.hyperv, files: this.#files, hostName: 'HV01' });
    const { provider } = stack.lab;
    const invoke = provider.invoke.bind(provider);
    Object.assign(provider, {
      invoke: (...call: Parameters<typeof invoke>) => {
        this.#calls += 1;
        return invoke(...call);
      },
    });
  }

  static async open(size: number, folder: string): Promise<MeasuredReplica> {
    const stack = await openLabStack();
    const { id, disks } = await stack.lab.createVm({ name: 'measured', disks: [{ size }] });
    return new MeasuredReplica(stack, { id, diskId: disks[0]!.diskId }, folder);
  }

  get target(): Target {
    return openTarget(`dir:${join(this.#folder, 'replica')}?format=vhdx`);
  }

  async write(offsets: Iterable<number>, length: number, seed: number): Promise<void> {
    const { id, diskId } = this.#vm;
    for (const offset of offsets) await this.stack.lab.guestWrite(id, { diskId, offset, length, seed });
  }

  async cycle(): Promise<CycleCost> {
    const { hyperv } = this.stack;
    const before = { calls: this.#calls, ...this.#reads };
    const started = performance.now();
    const record = await replicateVm(
      { source: this.#source, resolveVm: (vm, options) => hyperv.vm(vm, options) },
      { vm: 'measured', target: this.target, stateFolder: join(this.#folder, 'state') },
    );
    return {
      record,
      calls: this.#calls - before.calls,
      reads: this.#reads.reads - before.reads,
      readBytes: this.#reads.readBytes - before.readBytes,
      seconds: (performance.now() - started) / 1000,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files.close();
    await this.stack[Symbol.asyncDispose]();
  }
}

/** They do not say where their bytes lie: threads would read past the count. */
function counted({ lab }: LabStack, stats: ReadStats): HostFiles {
  const files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
  return {
    open: async (path, options) => new CountingReader(await files.open(path, options), stats),
    describe: () => files.describe(),
    close: () => files.close(),
  };
}
