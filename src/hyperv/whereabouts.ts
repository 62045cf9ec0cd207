/**
 * Where one VM of a cluster is, and calls that go there.
 *
 *   call at the node we know ──► answer ──► is it still the owner? ── yes ──► the answer counts
 *                                                 └── no ──► the same at the new owner
 *
 * The owner is asked after the call and not before: a node that has just lost the VM may answer with an empty list, which
 * looks like success. A VM that left and came back within one call is not noticed.
 */
import { hasCode } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import type { Cluster } from './cluster.ts';
import { hypervFaults } from './faults.ts';
import { growingPauses } from './host.ts';

/** A VM that is moved more often while one question is asked is being passed around: somebody else works on the cluster. */
const MOVES_MAX = 3;
/** The cluster names the new owner some moments before that shows the VM. */
const ARRIVAL_MS_MAX = 30_000;
const FIRST_PAUSE_MS = 200;

type End<T> = { readonly value: T } | { readonly error: unknown };

export class VmWhereabouts {
  readonly #cluster: Cluster;
  readonly #vmId: string;
  #node: string | undefined;

  constructor(cluster: Cluster, vmId: string) {
    this.#cluster = cluster;
    this.#vmId = vmId;
  }

  /** The owner, asked now. */
  async now(options: CallOptions): Promise<string> {
    this.#node = await this.#cluster.ownerOf(this.#vmId, options);
    return this.#node;
  }

  /** For reads, and for changes that may be made twice: an answer counts when the VM was still there afterwards. */
  async anywhere<T>(call: (node: string) => Promise<T>, options: CallOptions): Promise<T> {
    return await this.#follow(call, options, { lookAfterSuccess: true });
  }

  /** For what is right wherever it comes from, as files on shared storage: only a failure is a reason to ask for the owner. */
  async unlessItFails<T>(call: (node: string) => Promise<T>, options: CallOptions): Promise<T> {
    return await this.#follow(call, options, { lookAfterSuccess: false });
  }

  /**
   * For what must not be done twice: once, at the node that owns the VM now. Throws `HYPERV_VM_MOVED` when it failed and
   * the VM is gone from there, so that the failure may come of that.
   */
  async once<T>(call: (node: string) => Promise<T>, options: CallOptions): Promise<T> {
    const node = await this.now(options);
    try {
      return await call(node);
    } catch (error) {
      options.signal?.throwIfAborted();
      await this.mustBeAt(node, options, error);
      throw error;
    }
  }

  /** Throws `HYPERV_VM_MOVED` when the VM has left the node. */
  async mustBeAt(node: string, options: CallOptions, cause?: unknown): Promise<void> {
    const now = await this.now(options);
    if (!sameNode(now, node)) throw this.#movedFault(node, now, cause);
  }

  async #follow<T>(
    call: (node: string) => Promise<T>,
    options: CallOptions,
    { lookAfterSuccess }: { lookAfterSuccess: boolean },
  ): Promise<T> {
    const started = this.#cluster.clock.now();
    const pauses = growingPauses(FIRST_PAUSE_MS);
    let node = this.#node ?? (await this.now(options));
    for (let moves = 0; ;) {
      const end = await endOf(call(node));
      options.signal?.throwIfAborted();
      if ('value' in end && !lookAfterSuccess) return end.value;
      const now = await this.#lookAfter(end, options);
      const moved = !sameNode(now, node);
      if (moved && (moves += 1) > MOVES_MAX) throw this.#movedFault(node, now, causeOf(end));
      if (!moved && 'value' in end) return end.value;
      if (!moved) await this.#awaitArrival(end, started, pauses, options);
      node = now;
    }
  }

  /** Where the VM is after a call; a call that failed tells more than a cluster that does not answer either. */
  async #lookAfter<T>(end: End<T>, options: CallOptions): Promise<string> {
    try {
      return await this.now(options);
    } catch (error) {
      throw 'error' in end ? end.error : error;
    }
  }

  /** Waits a little when the owner does not show the VM yet, else throws what the call threw. */
  async #awaitArrival<T>(
    end: End<T>,
    started: number,
    pauses: Iterator<number>,
    options: CallOptions,
  ): Promise<void> {
    const { clock } = this.#cluster;
    const error = causeOf(end);
    const late = clock.now() - started >= ARRIVAL_MS_MAX;
    if (late || !hasCode(error, 'HYPERV_VM_NOT_FOUND')) throw error;
    await clock.sleep(pauses.next().value as number, options.signal);
  }

  #movedFault(from: string, to: string, cause: unknown): Error {
    return hypervFaults.vmMoved({ vm: this.#vmId, from, to }, { cause });
  }
}

async function endOf<T>(call: Promise<T>): Promise<End<T>> {
  try {
    return { value: await call };
  } catch (error) {
    return { error };
  }
}

function causeOf<T>(end: End<T>): unknown {
  return 'error' in end ? end.error : undefined;
}

/** Host names are compared without regard to case. */
function sameNode(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
