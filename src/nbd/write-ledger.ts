/**
 * Which writes a server may have lost. An answered write is durable only after a flush; when a connection breaks in between, the
 * server may have been restarted, and nobody tells. Reads and writes go on over a new connection, but the next flush must not
 * promise what it cannot know.
 */
export class WriteLedger {
  #answered = 0;
  #uncertain = 0;

  /** Writes answered since the last flush. */
  get answered(): number {
    return this.#answered;
  }

  wrote(): void {
    this.#answered += 1;
  }

  connectionBroke(): void {
    this.#uncertain += this.#answered;
    this.#answered = 0;
  }

  /** A flush came back that was sent when `covered` writes had been answered. Returns how many nobody can vouch for. */
  flushed(covered: number): number {
    const uncertain = this.#uncertain;
    this.#uncertain = 0;
    this.#answered = Math.max(0, this.#answered - covered);
    return uncertain;
  }
}
