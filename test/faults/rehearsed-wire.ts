/**
 * A real wire to the emulated host whose faults strike one numbered request, so that a run can be broken at each of its
 * requests in turn.
 */
import { openWinrm, type CimSession, type WinrmSession } from '../../src/winrm/index.ts';
import type { ManualClock } from '../../lab/model/index.ts';
import { startWire, type Wire, type WireFaultRule } from '../../lab/wire/index.ts';
import type { OpenSession } from '../property/world.ts';
import { settledProvider } from '../property/settled-provider.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };
/** Small, so that listings take several pages and every kind of request comes up. */
const PAGE_SIZE = 2;

export class RehearsedWire {
  readonly #faults: WireFaultRule[] = [];
  #wire!: Wire;
  #clock!: ManualClock;
  #session!: WinrmSession;

  /** For {@link file://../property/world.ts}: opens the wire and the client's session on it. */
  readonly open: OpenSession = async (host, owned): Promise<CimSession> => {
    this.#clock = host.clock;
    this.#wire = await startWire({
      provider: settledProvider(host.provider, host.settle),
      users: [ACCOUNT],
      faults: this.#faults,
    });
    owned.defer(() => this.#wire.close());
    await this.logOn();
    owned.defer(() => this.#session.close());
    return {
      get: (...call) => this.#session.get(...call),
      enumerate: (...call) => this.#session.enumerate(...call),
      query: (...call) => this.#session.query(...call),
      invoke: (...call) => this.#session.invoke(...call),
      close: () => this.#session.close(),
    };
  };

  /** A session of its own for each run, as the program has: one that was refused a log-on does not try again. */
  async logOn(): Promise<void> {
    await this.#session?.close();
    this.#session = await openWinrm({ url: this.#wire.url, credentials: ACCOUNT, pageSize: PAGE_SIZE });
  }

  get clock(): ManualClock {
    return this.#clock;
  }

  /** Requests so far, those of log-ons included. */
  get requests(): number {
    return Object.values(this.#wire.stats.requests).reduce((sum, count) => sum + count, 0);
  }

  /** What the next requests suffer. */
  rehearse(rules: readonly WireFaultRule[]): void {
    this.mustHaveStruck();
    this.#faults.push(...rules);
  }

  /** Throws when a rule still waits for its request. */
  mustHaveStruck(): void {
    const waiting = this.#faults.splice(0).map(({ kind }) => kind);
    if (waiting.length > 0) throw new Error(`${waiting.join(', ')}: struck nothing`);
  }
}
