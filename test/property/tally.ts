/** How often each situation came about: a property that never met a situation has not been tested by it. */
export class Tally {
  readonly #counts = new Map<string, number>();

  count(situation: string): void {
    this.#counts.set(situation, this.of(situation) + 1);
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
