/**
 * From the text of a request envelope to what goes back: an answer, a fault, a broken connection. Knows nothing of HTTP
 * and sealing.
 */
import { sleep } from '../../src/base/index.ts';
import { LabConnectionDrop, type LabCimProvider } from '../cim.ts';
import { Disturbances, type WireFaultRule, type WireFaults } from './disturbance.ts';
import { faultEnvelope } from './envelope.ts';
import { ACTION } from './names.ts';
import { Operations } from './operations.ts';
import type { Caller } from './provider-view.ts';
import { parseRequest, type ParsedRequest, type WireRequest } from './request.ts';
import { SoapFault, WBEM_E_FAILED, wmiFault } from './soap-fault.ts';
import type { WireTraits } from './traits.ts';

export type Outcome =
  | { readonly kind: 'answer'; readonly status: 200 | 500; readonly xml: string; readonly damage?: Damage }
  | { readonly kind: 'drop' }
  | { readonly kind: 'expire' };
type Damage = Extract<WireFaultRule['kind'], 'truncate' | 'corrupt'>;

export interface EndpointStats {
  /** Requests by action: `Enumerate`, `Pull`, …, or the method name. */
  readonly requests: Record<string, number>;
  faults: number;
  /** Failures of the lab itself (not of the emulated host), and the text of the last. */
  internalErrors: number;
  lastInternalError?: string;
}

/** Who answers envelopes: a model, or a recording. */
export interface Answering {
  /** `addressed` is the host the client asked for, which its faults name. `signal` ends delays when the client is gone. */
  answer(text: string, caller: Caller, addressed: string, signal: AbortSignal): Promise<Outcome>;
  close(): void;
}

export class Endpoint implements Answering {
  readonly #hostName: string;
  readonly #traits: WireTraits;
  readonly #operations: Operations;
  readonly #disturbances: Disturbances;
  readonly #stats: EndpointStats;

  constructor(provider: LabCimProvider, traits: WireTraits, faults: WireFaults, stats: EndpointStats) {
    this.#hostName = provider.hostName;
    this.#traits = traits;
    this.#operations = new Operations(provider, traits);
    this.#disturbances = new Disturbances(faults);
    this.#stats = stats;
  }

  close(): void {
    this.#operations.close();
  }

  async answer(text: string, caller: Caller, addressed: string, signal: AbortSignal): Promise<Outcome> {
    const parsed = parseRequest(text, this.#traits);
    const action = actionName(parsed.request);
    this.#stats.requests[action] = (this.#stats.requests[action] ?? 0) + 1;
    const rule = this.#disturbances.next(action);
    if (rule?.kind === 'delay') await waited(rule, signal);
    if (rule?.kind === 'drop-before') return { kind: 'drop' };
    if (rule?.kind === 'expire') return { kind: 'expire' };
    if (rule?.kind === 'fault') return this.#refused(wmiFault(REHEARSED), parsed, addressed);
    if (rule?.kind === 'time-out') {
      void waited(rule).then(() => this.#outcome(parsed, caller, addressed));
      return this.#refused(new SoapFault('timedOut'), parsed, addressed);
    }
    const outcome = await this.#outcome(parsed, caller, addressed);
    if (rule?.kind === 'drop-after') return { kind: 'drop' };
    if (rule?.kind === 'expire-after') return { kind: 'expire' };
    const damage = rule?.kind === 'truncate' || rule?.kind === 'corrupt' ? rule.kind : undefined;
    return outcome.kind === 'answer' && damage ? { ...outcome, damage } : outcome;
  }

  async #outcome(parsed: ParsedRequest, caller: Caller, addressed: string): Promise<Outcome> {
    const { request } = parsed;
    try {
      if (request instanceof SoapFault) throw request;
      const xml = await inTime(this.#operations.answer(request, caller), request.operationTimeoutMs);
      return { kind: 'answer', status: 200, xml };
    } catch (error) {
      if (error instanceof LabConnectionDrop) return { kind: 'drop' };
      const fault = error instanceof SoapFault ? error : this.#internal(error);
      return this.#refused(fault, parsed, addressed);
    }
  }

  #refused(fault: SoapFault, { messageId }: ParsedRequest, addressed: string): Outcome {
    this.#stats.faults += 1;
    const context = { traits: this.#traits, relatesTo: messageId, addressed, hostName: this.#hostName };
    return { kind: 'answer', status: 500, xml: faultEnvelope(fault, context) };
  }

  #internal(error: unknown): SoapFault {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#stats.internalErrors += 1;
    this.#stats.lastInternalError = text;
    return new SoapFault('providerFailed', `the lab itself failed, see its statistics`);
  }
}

const REHEARSED = { operation: 'rehearsed', parameterInfo: 'rehearsed', statusCode: WBEM_E_FAILED };

function waited(rule: WireFaultRule, signal?: AbortSignal): Promise<void> {
  return rule.wait ? rule.wait() : sleep(rule.delayMs ?? 0, signal);
}

/** Only the wait ends: what the host began goes on, as behind a real OperationTimeout. */
async function inTime(answer: Promise<string>, timeoutMs: number): Promise<string> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new SoapFault('timedOut')), timeoutMs);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
    answer.catch(() => undefined); // lost together with its caller; unheard it would end the process
  }
}

/** The short name by which statistics and disturbances know a request. */
function actionName(request: WireRequest | SoapFault): string {
  if (request instanceof SoapFault) return 'malformed';
  if (request.action === 'Identify') return 'Identify';
  const known = Object.values(ACTION).includes(request.action as (typeof ACTION)['get']);
  const name = request.action.slice(request.action.lastIndexOf('/') + 1);
  return known || /^\w{1,64}$/.test(name) ? name : 'malformed';
}
