/**
 * What happens to a run, and when. Everything a backup talks to (host, host files, store) goes through one schedule, which
 * numbers the calls; before the call with a number the guest writes, somebody interferes, the connection breaks, or our
 * process dies.
 */
import { winrmFaults, type CimClass, type CimReference, type CimSession } from '../../src/winrm/index.ts';
import { hostFileFaults } from '../../src/hostfile/index.ts';
import { StoppedError, storeFaults } from '../../src/objectstore/index.ts';
import type { CallOptions } from '../../src/disk/index.ts';

export type Trouble =
  /** The call fails; the host or the store did nothing, or did it and only the answer is lost. */
  | 'lost before'
  | 'lost after'
  /** Our process is gone: this call and every later one, clean-up included, does not happen or is never heard of. */
  | 'death before'
  | 'death after'
  /** The user presses Ctrl-C. */
  | 'cancel';

/** Which call of a run: its number, the first is 1; or the first whose name begins so; or one of its kind by number. */
export type When = number | string | Counted;

/** The first of the calls that count is 1. */
export interface Counted {
  readonly nth: number;
  readonly counts: (call: ScheduledCall) => boolean;
}

export interface Happening {
  /** Before this call. */
  readonly at: When;
  act(): Promise<void>;
}

export interface ScheduledCall {
  readonly peer: 'host' | 'file' | 'store';
  /** `ConvertToReferencePoint`, `query Msvm_ComputerSystem`, `putNew points/…` */
  readonly name: string;
  /** A change whose answer is lost leaves its effect unknown. */
  readonly changes: boolean;
}

export type Watch = (call: ScheduledCall, input: Readonly<Record<string, unknown>>) => Promise<void> | void;

export interface Plan {
  readonly happenings: readonly Happening[];
  readonly trouble?: { readonly at: When; readonly kind: Trouble } | undefined;
}

export class Schedule {
  /** Sees every call of ours before it is made. */
  watch: Watch = () => {};
  /** Every call of the last run, for the story a failure tells. */
  calls: ScheduledCall[] = [];
  /** What the trouble hit. */
  struck: string | undefined;
  #plan: Plan | undefined;
  #dead = false;
  #abort = new AbortController();

  /** From now on calls are counted; the signal is the run's. */
  start(plan: Plan): AbortSignal {
    this.#plan = plan;
    this.#dead = false;
    this.#abort = new AbortController();
    this.calls = [];
    this.struck = undefined;
    return this.#abort.signal;
  }

  stop(): void {
    this.#plan = undefined;
  }

  async around<T>(
    call: ScheduledCall,
    run: () => Promise<T>,
    input: Readonly<Record<string, unknown>> = {},
  ): Promise<T> {
    const plan = this.#plan;
    if (!plan) return run();
    const number = this.calls.push(call);
    if (this.#dead) throw new StoppedError();
    for (const happening of plan.happenings) if (this.#isNow(happening.at, number)) await happening.act();
    const trouble =
      plan.trouble && this.#isNow(plan.trouble.at, number) ? troubleOf(call, plan.trouble.kind) : undefined;
    if (trouble) this.struck = `${trouble} call ${number}, ${call.peer}: ${call.name}`;
    this.#before(trouble, call);
    await this.watch(call, input);
    const result = await run();
    if (trouble === 'lost after') throw lost(call);
    if (trouble === 'death after') this.#die();
    return result;
  }

  #isNow(when: When, number: number): boolean {
    if (typeof when === 'number') return when === number;
    if (typeof when !== 'string') return this.#isCounted(when, number);
    return this.calls.findIndex(({ name }) => name.startsWith(when)) === number - 1;
  }

  #isCounted({ nth, counts }: Counted, number: number): boolean {
    const calls = this.calls.slice(0, number).filter(counts);
    return calls.length === nth && calls.at(-1) === this.calls[number - 1];
  }

  #before(trouble: Trouble | undefined, call: ScheduledCall): void {
    if (trouble === 'lost before') throw lost(call);
    if (trouble === 'death before') this.#die();
    if (trouble === 'cancel') this.#abort.abort(new Cancelled());
  }

  #die(): never {
    this.#dead = true;
    throw new StoppedError();
  }
}

/** A file that was opened in vain would stay open for ever: nothing of it is "done" while we have not got it. */
function troubleOf({ peer }: ScheduledCall, kind: Trouble): Trouble {
  if (peer !== 'file') return kind;
  return kind === 'lost after' ? 'lost before' : kind === 'death after' ? 'death before' : kind;
}

export class Cancelled extends Error {}

function lost({ peer, name, changes }: ScheduledCall): Error {
  if (peer === 'store') return storeFaults.ioFailed({ name, location: 'memory', reason: 'rehearsed' });
  if (peer === 'file')
    return hostFileFaults.unavailable({ path: name, localPath: name, reason: 'rehearsed' });
  return changes
    ? winrmFaults.effectUnknown({ method: name })
    : winrmFaults.connectionLost({ host: 'HV01', reason: 'rehearsed' });
}

/** A session whose every call is in the schedule. */
export class ScheduledSession implements CimSession {
  readonly #inner: CimSession;
  readonly #schedule: Schedule;

  constructor(inner: CimSession, schedule: Schedule) {
    this.#inner = inner;
    this.#schedule = schedule;
  }

  get: CimSession['get'] = (cls, keys, options) =>
    this.#read(`get ${cls.name}`, () => this.#inner.get(cls, keys, options));

  async *enumerate<C extends CimClass>(cls: C, options?: CallOptions) {
    yield* await this.#read(`enumerate ${cls.name}`, () =>
      Array.fromAsync(this.#inner.enumerate(cls, options)),
    );
  }

  async *query<C extends CimClass>(cls: C, text: string, options?: CallOptions) {
    yield* await this.#read(`query ${cls.name}`, () =>
      Array.fromAsync(this.#inner.query(cls, text, options)),
    );
  }

  invoke: CimSession['invoke'] = (cls, keys: CimReference['keys'], method, input, options) => {
    const changes = cls.methods[method]!.repeatable !== true;
    const run = (): ReturnType<typeof this.invoke<typeof cls, typeof method>> =>
      this.#inner.invoke(cls, keys, method, input, options);
    return this.#schedule.around(
      { peer: 'host', name: method, changes },
      run,
      input as Record<string, unknown>,
    );
  };

  async close(): Promise<void> {}

  #read<T>(name: string, run: () => Promise<T>): Promise<T> {
    return this.#schedule.around({ peer: 'host', name, changes: false }, run);
  }
}
