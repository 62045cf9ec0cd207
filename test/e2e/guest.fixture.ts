/** Real guests for tests: the small Linux of the lab, and what it says on its serial port wherever it runs. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { VmInfo, VmSpec } from '../../lab/model/index.ts';
import { findKernel, guestFiles, GUEST_PROGRAMS } from '../../lab/guest-qemu/index.ts';
import { requires } from '../requires.ts';
import type { LabProcess } from './cli.fixture.ts';

/** A guest that says nothing new for so long has died: a start takes ten seconds of a processor, of which ten others may want their part. */
const SILENT_MS_MAX = 240_000;

/** For tests with a real guest: `{ skip }` where none can be made. */
export function requiresGuest(programs: readonly string[], unproved: string): { skip?: string } {
  return findKernel()
    ? requires(['qemu-system-x86_64', ...GUEST_PROGRAMS, ...programs], unproved)
    : { skip: `the kernel of linux-image-cloud-amd64 is missing; not proved: ${unproved}` };
}

/** What a guest says on its first serial port, of all its starts. */
export class SerialLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  async text(): Promise<string> {
    return existsSync(this.path) ? (await readFile(this.path, 'utf8')).replaceAll('\r', '') : '';
  }

  /** Resolves once the guest said it; fails when `ended` comes first, with what it resolves to, or the guest falls silent. */
  async said(what: string | RegExp, ended?: Promise<string>): Promise<void> {
    const over = ended?.then((why) => `it ended: ${why}`);
    let text = '';
    for (let silentSince = Date.now(); ;) {
      const before = text;
      text = await this.text();
      if (text.search(what) >= 0) return;
      if (text !== before) silentSince = Date.now();
      const isSilent = Date.now() - silentSince > SILENT_MS_MAX;
      const reason = isSilent ? 'it fell silent' : await Promise.race([over, wait(50)]);
      if (reason) assert.fail(`no "${String(what)}": ${reason}\n${text}`);
    }
  }

  /** How many files it said that it had written: all of them are on its disks. */
  async written(): Promise<number> {
    return Math.max(
      0,
      ...[...(await this.text()).matchAll(/^WROTE (\d+)$/gm)].map((match) => Number(match[1])),
    );
  }

  /** What it found when it started last. */
  async checked(): Promise<{ readonly good: number; readonly bad: number }> {
    const [, good, bad] = [...(await this.text()).matchAll(/^CHECK good (\d+) bad (\d+)$/gm)].at(-1) ?? [];
    return { good: Number(good), bad: Number(bad) };
  }
}

/** A VM of the lab with the small Linux on these images. */
export async function startLabGuest(
  lab: LabProcess,
  spec: Pick<VmSpec, 'name' | 'generation'>,
  images: readonly string[],
): Promise<{ readonly vm: VmInfo; readonly serial: SerialLog }> {
  const disks = images.map((fromRaw, index) => ({ name: `disk${index + 1}`, fromRaw }));
  const vm = await lab.client.createVm({ ...spec, guest: 'qemu', processors: 1, memoryMiB: 256, disks });
  const { serialLog } = guestFiles(dirname(lab.address.controlTokenFile), vm.id);
  return { vm, serial: new SerialLog(serialLog) };
}
