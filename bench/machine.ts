/** The machine a figure belongs to. */
import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { formatBytes } from '../src/base/index.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memory: string;
  readonly system: string;
  readonly fileSystem: string;
  readonly node: string;
  readonly qemu: string;
}

/** `folder` is where the work files lie. */
export function describeMachine(folder: string): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: formatBytes(totalmem()),
    system: `${process.platform} ${release()}`,
    fileSystem: firstLine('stat', ['-f', '-c', '%T', folder]),
    node: process.version,
    qemu: firstLine('qemu-img', ['--version']),
  };
}

function firstLine(program: string, args: readonly string[]): string {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return stdout?.split('\n')[0] || 'unknown';
}
