/** How often each situation came about: a property that never met a situation has not been tested by it. */
export class Tally {
  readonly #counts = new Map<string, number>();

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  count(situation: string, times = 1): void {
    this.#counts.set(situation, this.of(situation) + times);
  }

  add(counts: ReadonlyMap<string, number>): void {
    for (const [situation, times] of counts) this.count(situation, times);
  }

  of(situation: string): number {
    return this.#counts.get(situation) ?? 0;
  }

  /** `12 × read in full: new-disk`, by name. */
  lines(): string[] {
    return [...this.#counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, count]) => `${count} × ${name}`);
  }
}
