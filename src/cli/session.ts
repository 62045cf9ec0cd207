/** One run of one command: what a command file works with. */
import { silentProgress, warningOf } from '../base/index.ts';
import { Access, type RepositoryOptions } from './access.ts';
import type { ConfigFile } from './config-file.ts';
import { configLocation } from './config-path.ts';
import type { Engine, HostAccess, RepositoryAccess, Task } from './engine.ts';
import { reportOf, type ErrorReport } from './error-report.ts';
import { exitCodeOf, worstOf, type ExitCode } from './exit-code.ts';
import { hostKeyQuestion } from './host-key-question.ts';
import { cliFaults } from './faults.ts';
import type { InterruptTexts } from './interrupts.ts';
import type { CliIo } from './io.ts';
import { JsonDocument } from './json-document.ts';
import type { Output } from './output.ts';
import { ProgressBar, type ProgressView } from './progress-bar.ts';
import { ProgressJson } from './progress-json.ts';
import { ProgressLines } from './progress-lines.ts';
import { SecretReader } from './secret-source.ts';
import type { SecretLog } from './secret.ts';

export const PROGRESS_MODES = ['auto', 'bar', 'plain', 'json', 'none'] as const;

export interface GlobalOptions {
  readonly config?: string;
  readonly json?: true;
  readonly progress?: (typeof PROGRESS_MODES)[number];
}

/** How a command file hands its work to the program: one session for one run. */
export type Runner = (work: (session: Session) => Promise<ExitCode>) => Promise<void>;

export interface SessionParts {
  readonly io: CliIo;
  readonly engine: Engine;
  readonly output: Output;
  readonly secretLog: SecretLog;
  readonly globals: GlobalOptions;
}

export class Session {
  readonly engine: Engine;
  readonly output: Output;
  readonly io: CliIo;
  readonly secrets: SecretReader;
  readonly #parts: SessionParts;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.engine = parts.engine;
    this.output = parts.output;
    this.io = parts.io;
    this.secrets = new SecretReader(parts.io, parts.output, parts.secretLog);
  }

  /** The configuration; `start` when the command will make the file if there is none. */
  async config(start: 'start' | 'must exist' = 'must exist'): Promise<ConfigFile> {
    // Loaded here: YAML and schema checks are a third of all modules, and help needs neither.
    const { ConfigFile } = await import('./config-file.ts');
    const location = configLocation(this.#parts.globals.config, this.io);
    return start === 'start' ? ConfigFile.loadOrStart(location) : ConfigFile.load(location);
  }

  accessBy(file: ConfigFile): Access {
    return new Access(file, this.io, this.secrets, hostKeyQuestion(this.io, this.output));
  }

  async host(name: string | undefined): Promise<HostAccess> {
    const host = this.accessBy(await this.config()).host(name);
    if (host.logOn?.insecure) this.output.remark(warningOf(cliFaults.insecureHost({ name: host.name })));
    return host;
  }

  async repository(options: RepositoryOptions): Promise<RepositoryAccess> {
    return this.accessBy(await this.config()).repository(options);
  }

  /** The one that is named, else every one of the configuration. */
  async repositories(options: RepositoryOptions): Promise<RepositoryAccess[]> {
    const access = this.accessBy(await this.config());
    return options.repo === undefined ? access.repositories(options) : [access.repository(options)];
  }

  report(error: unknown): ErrorReport {
    return reportOf(error, this.#parts.secretLog, this.io.env['HVLIFT_DEBUG'] === '1');
  }

  /** Runs `work` with progress on show and Ctrl-C explained by `texts`. `endPhase` goes before a result is shown. */
  async perform<T>(
    texts: InterruptTexts,
    work: (task: Task, endPhase: () => void) => Promise<T>,
  ): Promise<T> {
    const { interrupts } = this.io;
    interrupts.describe(texts);
    interrupts.signal.throwIfAborted();
    const view = this.#progressView();
    const timer = setInterval(() => view.tick(), 1000).unref();
    try {
      return await work({ signal: interrupts.signal, progress: view }, () => view.end());
    } finally {
      clearInterval(timer);
      view.end();
    }
  }

  /**
   * A result that comes in parts: `{ ...fields, <array>: [...] }` with `--json`. `work` adds to `document` and collects
   * the exit code of each part; when it throws, the parts stay and the error is added.
   */
  async inParts(
    array: string,
    work: (document: JsonDocument, codes: ExitCode[]) => Promise<void>,
  ): Promise<ExitCode> {
    const document = new JsonDocument(async (text) => {
      if (this.output.json) await this.output.write(text);
    });
    const codes: ExitCode[] = [];
    await document.object({});
    try {
      await document.array(array);
      await work(document, codes);
      await document.end(this.output.withRemarks({}));
    } catch (error) {
      this.output.fault(this.report(error));
      await document.end({ ...this.output.withRemarks({}), error: this.report(error) });
      codes.push(exitCodeOf(error));
    }
    return worstOf(codes);
  }

  #progressView(): ProgressView {
    const { output, io } = this;
    const asked = this.#parts.globals.progress ?? 'auto';
    const mode = asked === 'auto' ? defaultProgress(output) : asked;
    if (mode === 'bar') return new ProgressBar(output, io.now);
    if (mode === 'plain') return new ProgressLines(output, io.now);
    if (mode === 'json') return new ProgressJson(output, io.now);
    return { ...silentProgress, tick() {}, end() {} };
  }
}

function defaultProgress(output: Output): 'bar' | 'plain' | 'none' {
  if (output.json) return 'none';
  return output.animated ? 'bar' : 'plain';
}
