/** Progress of one long task: flows report, the CLI draws. Reports are cheap; the receiver decides how often to show. */
export interface Progress {
  /** A new phase begins, with its total in bytes when it is known. */
  phase(name: string, totalBytes?: number): void;
  /** `bytes` more are done in the current phase. */
  advance(bytes: number): void;
  /** One line worth keeping: a decision, a warning. */
  note(text: string): void;
}

export const silentProgress: Progress = { phase() {}, advance() {}, note() {} };
