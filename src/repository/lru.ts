/** A bounded cache: keeps what was used last, up to a total weight. */
export class Lru<V> {
  readonly #entries = new Map<string, { readonly value: V; readonly weight: number }>();
  readonly #weightMax: number;
  #weight = 0;

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key); // a Map keeps the order of insertion: the oldest is always first
    this.#entries.set(key, entry);
    return entry.value;
  }

  set(key: string, value: V, weight: number): void {
    this.delete(key);
    this.#entries.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#weightMax) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    this.#weight -= entry.weight;
  }
}

/** A cache of what has to be fetched: whoever asks while a fetch runs waits for that fetch instead of starting another. */
export class FetchCache<V> {
  readonly #kept: Lru<V>;
  readonly #running = new Map<string, Promise<V>>();
  readonly #weigh: (value: V) => number;

  constructor(weightMax: number, weigh: (value: V) => number) {
    this.#kept = new Lru(weightMax);
    this.#weigh = weigh;
  }

  get(key: string, fetch: () => Promise<V>): V | Promise<V> {
    return this.#kept.get(key) ?? this.#running.get(key) ?? this.#fetch(key, fetch);
  }

  /** What is there already. */
  kept(key: string): V | undefined {
    return this.#kept.get(key);
  }

  #fetch(key: string, fetch: () => Promise<V>): Promise<V> {
    const running = fetch()
      .then((value) => {
        this.#kept.set(key, value, this.#weigh(value));
        return value;
      })
      .finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }
}
