/** Runs a command line as a user would, against a fake engine, in a home folder of its own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { Engine } from './engine.ts';
import type { ExitCode } from './exit-code.ts';
import { fakeEngine, PASSPHRASE, PASSWORD, type Calls } from './fake-engine.fixture.ts';
import { Interrupts } from './interrupts.ts';
import type { InputStream, OutputStream } from './io.ts';
import { main } from './run.ts';

export const CONFIG = `# hosts of the lab
hosts:
  hv1:
    url: http://hv1.example.com:5985/wsman
    user: EXAMPLE\\backup
    passwordEnv: HV1_PASSWORD   # set by the unit file
repositories:
  main:
    path: backups
    passphraseEnv: MAIN_PASSPHRASE
`;

export const SECRETS_IN_ENV = { HV1_PASSWORD: PASSWORD, MAIN_PASSPHRASE: PASSPHRASE };

/** Collects what is written. */
export class Sink extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** A terminal to type on. */
export class Keyboard extends PassThrough {
  readonly isTTY = true;
  /** Whether what is typed is shown; every change in order. */
  readonly rawModes: boolean[] = [];

  setRawMode(raw: boolean): void {
    this.rawModes.push(raw);
  }
}

export interface Outcome {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
  readonly calls: Calls;
  /** stdout parsed. */
  json(): any; // oxlint-disable-line typescript/no-explicit-any
}

export interface Setting {
  readonly engine?: Partial<Engine>;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: InputStream;
  readonly stdout?: OutputStream;
  readonly stderr?: OutputStream;
  readonly interrupts?: Interrupts;
  /** Text of the configuration; undefined: no file. */
  readonly config?: string | undefined;
  readonly now?: () => number;
}

export class CommandLine {
  readonly home: string;

  private constructor(home: string) {
    this.home = home;
  }

  static async open(): Promise<CommandLine> {
    return new CommandLine(await mkdtemp(join(tmpdir(), 'hvlift-cli-')));
  }

  get configPath(): string {
    return join(this.home, 'config.yaml');
  }

  async run(argv: readonly string[], setting: Setting = {}): Promise<Outcome> {
    const { engine, calls } = fakeEngine(setting.engine);
    const [stdout, stderr] = [new Sink(), new Sink()];
    const config = 'config' in setting ? setting.config : CONFIG;
    if (config !== undefined) await writeFile(this.configPath, config);
    const code = await main(
      argv,
      {
        stdin: setting.stdin ?? new PassThrough(),
        stdout: setting.stdout ?? stdout,
        stderr: setting.stderr ?? stderr,
        env: { HVLIFT_CONFIG: this.configPath, ...SECRETS_IN_ENV, ...setting.env },
        interrupts: setting.interrupts ?? new Interrupts(() => {}),
        platform: 'linux',
        homeFolder: this.home,
        workingFolder: this.home,
        now: setting.now ?? (() => performance.now()),
      },
      async () => engine,
    );
    return { code, stdout: stdout.text, stderr: stderr.text, calls, json: () => JSON.parse(stdout.text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.home, { recursive: true });
  }
}
