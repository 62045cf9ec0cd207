/** Progress of one long task: flows report, the CLI draws. Reports are cheap; the receiver decides how often to show. */
export interface Progress {
  /** A new phase begins, with its total in bytes when it is known. */
  phase(name: string, totalBytes?: number): void;
  /** `bytes` more are done in the current phase. */
  advance(bytes: number): void;
  /** One line worth keeping: a decision, a warning. */
  note(text: string): void;
  /** Of one of several tasks that run at once, shown beside the others. */
  branch?(name: string): ProgressBranch;
}

export interface ProgressBranch extends Progress {
  /** The task is over. */
  end(): void;
}

export const silentProgress: Progress = { phase() {}, advance() {}, note() {} };

/** A branch for the task `name`; of a progress that has none, its name goes before all it says. */
export function branchOf(progress: Progress, name: string): ProgressBranch {
  if (progress.branch) return progress.branch(name);
  return {
    phase: (phase, totalBytes) => progress.phase(`${name}: ${phase}`, totalBytes),
    advance: (bytes) => progress.advance(bytes),
    note: (text) => progress.note(`${name}: ${text}`),
    end() {},
  };
}
