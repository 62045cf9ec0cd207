/**
 * A bounded cache that a scan does not empty.
 *
 *   new ─► trial ─► proven      asked for again after others have come in: it belongs to what is read around in
 *            └──────► gone      front to back is read once, and leaves as it came
 *
 * A chunk of 1 MiB is asked for 16 times in a row by who reads 64 KiB at a time: that proves nothing, so what has just come in
 * is not moved. What is proven leaves once nobody has asked for it while four times the cache came in: the guest has moved on.
 * As long as the cache is not full, nothing leaves.
 */
interface Entry<V> {
  readonly value: V;
  readonly weight: number;
  /** What had come in, in all, when it did; once it is proven, when it was last asked for. */
  at: number;
}

/** Of the whole weight. What is on trial keeps a quarter even where all the rest is proven, or nothing new would ever get in. */
const TRIAL_SHARE = 1 / 4;
/** Of the whole weight, come in since: farther back than a read-ahead reaches. */
const PROOF_SHARE = 1 / 8;
/** Times the whole weight, come in since. */
const STALE_SHARE = 4;

export class SegmentedLru<V> {
  readonly #weightMax: number;
  readonly #gone: (value: V) => void;
  readonly #trial = new Map<string, Entry<V>>();
  readonly #proven = new Map<string, Entry<V>>();
  #trialWeight = 0;
  #provenWeight = 0;
  #cameIn = 0;

  constructor(weightMax: number, gone: (value: V) => void) {
    this.#weightMax = weightMax;
    this.#gone = gone;
  }

  get weight(): number {
    return this.#trialWeight + this.#provenWeight;
  }

  get(key: string): V | undefined {
    const proven = this.#proven.get(key);
    if (proven) {
      proven.at = this.#cameIn;
      this.#proven.delete(key); // a Map keeps the order of insertion: the oldest is always first
      this.#proven.set(key, proven);
      return proven.value;
    }
    const entry = this.#trial.get(key);
    if (!entry) return undefined;
    if (this.#cameIn - entry.at > this.#weightMax * PROOF_SHARE) this.#prove(key, entry);
    return entry.value;
  }

  /** For a key that is not there. */
  set(key: string, value: V, weight: number): void {
    this.#cameIn += weight;
    this.#trial.set(key, { value, weight, at: this.#cameIn });
    this.#trialWeight += weight;
    while (this.weight > this.#weightMax) this.#dropOne();
  }

  clear(): void {
    while (this.weight > 0) this.#dropOne();
  }

  #prove(key: string, entry: Entry<V>): void {
    this.#trial.delete(key);
    this.#trialWeight -= entry.weight;
    entry.at = this.#cameIn;
    this.#proven.set(key, entry);
    this.#provenWeight += entry.weight;
  }

  #dropOne(): void {
    const isTrialSmall = this.#trialWeight <= this.#weightMax * TRIAL_SHARE;
    const fromProven = this.#proven.size > 0 && (isTrialSmall || this.#isProvenStale());
    const from = fromProven ? this.#proven : this.#trial;
    const [key, { value, weight }] = from.entries().next().value!;
    from.delete(key);
    if (fromProven) this.#provenWeight -= weight;
    else this.#trialWeight -= weight;
    this.#gone(value);
  }

  #isProvenStale(): boolean {
    const oldest = this.#proven.values().next().value;
    return oldest !== undefined && this.#cameIn - oldest.at > this.#weightMax * STALE_SHARE;
  }
}
