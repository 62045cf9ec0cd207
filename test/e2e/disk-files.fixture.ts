/** Disk files in a folder of their own, the program run among them as a process, and QEMU as the judge. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { startProgram, type CliRun, type RunningCli } from './cli.fixture.ts';

export class DiskFiles {
  readonly folder = mkdtempSync(join(tmpdir(), 'hvlift-disks-'));

  constructor() {
    after(() => rmSync(this.folder, { recursive: true }));
  }

  at(...names: readonly string[]): string {
    return join(this.folder, ...names);
  }

  /** `hvlift disk …` in the folder. */
  start(...argv: readonly string[]): RunningCli {
    return startProgram(['disk', ...argv], this.folder);
  }

  run(...argv: readonly string[]): Promise<CliRun> {
    return this.start(...argv).ended;
  }

  /** A run that must end with 0. */
  async ok(...argv: readonly string[]): Promise<CliRun> {
    const run = await this.run(...argv);
    assert.equal(run.code, 0, `hvlift disk ${argv.join(' ')}: ${run.stderr}`);
    return run;
  }

  /** stdout of a program that must end with one of these codes. */
  judge(program: string, argv: readonly string[], codes: readonly number[] = [0]): string {
    const run = spawnSync(program, argv, { cwd: this.folder, encoding: 'utf8', maxBuffer: 64 * 1024 ** 2 });
    assert.ok(codes.includes(run.status ?? -1), `${program} ${argv.join(' ')}: ${run.stdout}${run.stderr}`);
    return run.stdout;
  }
}
