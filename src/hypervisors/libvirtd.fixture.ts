/**
 * A libvirtd of the test's own: in a private folder, as a user without rights where the test itself is root, and gone with it.
 * libvirt keeps what it knows of QEMU in its cache, so the first question takes some seconds.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../base/index.ts';
import { removeWithMachines } from './tiny-guest.fixture.ts';

/** `nobody`: as root, libvirtd would be that of the system, with its files in /etc and /run. */
const NOBODY = 65_534;

export class Libvirtd implements AsyncDisposable {
  /** Everybody may write to it. */
  readonly folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(): Promise<Libvirtd> {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-virt-'));
    const libvirtd = new Libvirtd(folder);
    await chmod(folder, 0o777);
    for (const name of ['home', 'run']) {
      await mkdir(join(folder, name), { mode: 0o700 });
      if (isRoot()) await chown(join(folder, name), NOBODY, NOBODY);
    }
    await libvirtd.run();
    return libvirtd;
  }

  get address(): string {
    return `libvirt:qemu+unix:///session?socket=${this.#socket}`;
  }

  /** Also after `kill`. */
  async run(): Promise<void> {
    const home = join(this.folder, 'home');
    const run = join(this.folder, 'run');
    this.#process = spawn('/usr/sbin/libvirtd', [], {
      stdio: 'ignore',
      env: { PATH: process.env['PATH'] ?? '', HOME: home, XDG_RUNTIME_DIR: run, LC_ALL: 'C' },
      ...(isRoot() ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    const signal = AbortSignal.timeout(30_000);
    while (!(await stat(this.#socket).catch(() => undefined))) await sleep(50, signal);
  }

  async kill(): Promise<void> {
    const ended = once(this.#process!, 'exit');
    this.#process!.kill('SIGKILL');
    await ended;
    await rm(this.#socket, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await removeWithMachines(this.folder);
  }

  get #socket(): string {
    return join(this.folder, 'run', 'libvirt', 'libvirt-sock');
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
