/**
 * A real guest is booted at once, straight from the repository, by what `hvlift serve --run` makes of the settings of its restore
 * point. What it writes is there at the next start, each file with its hash; the restore point stays as it was.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { findKernel, GUEST_PROGRAMS, makeGuestImages } from '../../lab/guest-qemu/index.ts';
import { machineFiles } from '../../src/machines/index.ts';
import { requires } from '../requires.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';

const UNPROVED = 'restore points booted by a real guest';
const NEEDS = findKernel()
  ? requires(['qemu-system-x86_64', ...GUEST_PROGRAMS], UNPROVED)
  : { skip: `the kernel of linux-image-cloud-amd64 is missing; not proved: ${UNPROVED}` };

const folder = await mkdtemp(join(tmpdir(), 'hvlift-boot-'));
after(() => rm(folder, { recursive: true, force: true }));

/** Resolves once the guest said it; fails when the machine ends first. */
async function said(serialLog: string, text: string, ended: Promise<{ stderr: string }>): Promise<void> {
  const over = ended.then(({ stderr }) => stderr || 'it ended');
  for (;;) {
    const all = existsSync(serialLog) ? await readFile(serialLog, 'utf8') : '';
    if (all.includes(text)) return;
    const reason = await Promise.race([over, wait(100)]);
    if (reason !== undefined) throw new Error(`no "${text}": ${reason}\n${all}`);
  }
}

/** Boots the latest point until its guest said it, then Ctrl-C. Resolves with all that the guest said. */
async function boot(home: CliHome, vm: string, until: string): Promise<{ saidAfterMs: number; log: string }> {
  const started = Date.now();
  // The kernel has drivers for IDE and virtio, and the lab hangs disks on SCSI.
  const machine = ['--run', '--devices', 'virtio', '--no-secure-boot'];
  const run = home.start(['serve', 'latest', '--vm', vm, '--write', vm, '--json', ...machine]);
  const { serialLog } = machineFiles(home.path(vm, '@machine'));
  try {
    await said(serialLog, until, run.ended);
  } finally {
    run.process.kill('SIGINT');
  }
  const saidAfterMs = Date.now() - started;
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, stderr);
  const log = await readFile(serialLog, 'utf8');
  await rm(serialLog);
  return { saidAfterMs, log };
}

test(
  'a guest boots from its restore point, is switched off by Ctrl-C, and finds what it wrote',
  NEEDS,
  async (t) => {
    const image = join(folder, 'guest.raw');
    await makeGuestImages(image);
    await using lab = await LabProcess.start();
    await using home = await CliHome.open(lab, 'plain');
    await lab.client.createVm({ name: 'old', generation: 1, memoryMiB: 256, disks: [{ fromRaw: image }] });
    await home.ok('backup', 'old');

    const first = await boot(home, 'old', 'WROTE 2');
    assert.match(first.log, /CHECK good 0 bad 0\r?\n/);
    assert.match(first.log, /GUEST-OFF/);
    const files = [...first.log.matchAll(/WROTE/g)].length;

    const second = await boot(home, 'old', 'GUEST-READY');
    assert.match(second.log, new RegExp(`CHECK good ${files} bad 0\\r?\\n`));

    await lab.client.createVm({ name: 'new', generation: 2, memoryMiB: 256, disks: [{ fromRaw: image }] });
    await home.ok('backup', 'new');
    const uefi = await boot(home, 'new', 'GUEST-READY');
    assert.match(uefi.log, /GUEST-OFF/);
    await home.ok('verify');
    t.diagnostic(
      `two files written after ${first.saidAfterMs} ms, ready again after ${second.saidAfterMs} ms, by UEFI after ${uefi.saidAfterMs} ms`,
    );
  },
);
