/** The machine a figure belongs to. */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { formatBytes } from '../src/base/index.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memory: string;
  readonly system: string;
  readonly fileSystem: string;
  readonly node: string;
  readonly qemu: string;
  /** Processes that wanted a core in the minute before: well above 0, others worked here too and figures are worse. */
  readonly loadBefore: number;
}

/** `folder` is where the work files lie. */
export function describeMachine(folder: string): Machine {
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: formatBytes(totalmem()),
    system: `${process.platform} ${release()}`,
    fileSystem: firstLine('findmnt', ['--noheadings', '--output', 'FSTYPE', '--target', folder]),
    node: process.version,
    qemu: firstLine('qemu-img', ['--version']),
    loadBefore: loadavg()[0]!,
  };
}

function firstLine(program: string, args: readonly string[]): string {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return stdout?.split('\n')[0] || 'unknown';
}
