/**
 * A real guest is booted at once, straight from the repository, by what `hvlift serve --run` makes of the settings of its restore
 * point. What it writes is there at the next start, each file with its hash; the restore point stays as it was. Beside it, the same
 * point is exported first and booted then.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { VmInfo } from '../../lab/model/index.ts';
import { makeGuestImages } from '../../lab/guest-qemu/index.ts';
import {
  accelerator,
  describeMachine,
  machineFiles,
  prepareMachineFolder,
  qemuArguments,
  runQemu,
} from '../../src/machines/index.ts';
import { CliHome, LabProcess } from './cli.fixture.ts';
import { requiresGuest, SerialLog } from './guest.fixture.ts';

const NEEDS = requiresGuest([], 'restore points booted by a real guest');

const folder = await mkdtemp(join(tmpdir(), 'hvlift-boot-'));
after(() => rm(folder, { recursive: true, force: true }));

interface Booted {
  /** From the command to what the guest says when it is there. */
  readonly readyAfterMs: number;
  /** All that it said. */
  readonly log: string;
}

/** Boots the latest point until its guest said it, then Ctrl-C. */
async function boot(home: CliHome, vm: string, until: string): Promise<Booted> {
  const started = Date.now();
  // The kernel has drivers for IDE and virtio, and the lab hangs disks on SCSI.
  const machine = ['--run', '--devices', 'virtio', '--no-secure-boot'];
  const run = home.start(['serve', 'latest', '--vm', vm, '--write', vm, '--json', ...machine]);
  const serial = new SerialLog(machineFiles(home.path(vm, '@machine')).serialLog);
  const ended = run.ended.then(({ stderr }) => stderr);
  let readyAfterMs: number;
  try {
    await serial.said('GUEST-READY', ended);
    readyAfterMs = Date.now() - started;
    await serial.said(until, ended);
  } finally {
    run.process.kill('SIGINT');
  }
  const { code, stderr } = await run.ended;
  assert.equal(code, 0, stderr);
  const log = await serial.text();
  await rm(serial.path);
  return { readyAfterMs, log };
}

/** The latest point as a file, then the same machine from that. */
async function bootExported(home: CliHome, vm: VmInfo): Promise<Booted & { readonly exportMs: number }> {
  const started = Date.now();
  const restored = (
    await home.ok('restore', 'latest', '--vm', vm.name, '--to', 'out', '--format', 'qcow2', '--json')
  ).json();
  const exportMs = Date.now() - started;
  const source = { kind: 'file', path: restored.disks[0].path, format: 'qcow2' } as const;
  const disk = {
    path: source.path,
    attachmentId: '',
    logicalSectorSize: 512,
    physicalSectorSize: 512,
    source,
  };
  const choices = { devices: 'virtio', memoryMiB: 256 } as const;
  const { machine } = describeMachine({ ...vm, configuration: {}, disks: [disk] }, choices);
  const place = home.path('exported');
  await prepareMachineFolder(place);
  const serial = new SerialLog(machineFiles(place).serialLog);
  const stop = new AbortController();
  const command = qemuArguments(machine, { accelerator: await accelerator(), folder: place });
  const run = runQemu(command, { signal: stop.signal });
  try {
    await serial.said(
      'GUEST-READY',
      run.then(() => 'off', String),
    );
  } finally {
    stop.abort();
  }
  const readyAfterMs = Date.now() - started;
  await run;
  return { exportMs, readyAfterMs, log: await serial.text() };
}

test(
  'a guest boots from its restore point, is switched off by Ctrl-C, and finds what it wrote',
  NEEDS,
  async (t) => {
    const image = join(folder, 'guest.raw');
    await makeGuestImages(image);
    await using lab = await LabProcess.start();
    await using home = await CliHome.open(lab, 'plain');
    const machine = { processors: 1, memoryMiB: 256, disks: [{ fromRaw: image }] };
    const old = await lab.client.createVm({ ...machine, name: 'old', generation: 1 });
    await home.ok('backup', 'old');

    const first = await boot(home, 'old', 'WROTE 2');
    assert.match(first.log, /CHECK good 0 bad 0\n/);
    assert.match(first.log, /GUEST-OFF/);
    const files = [...first.log.matchAll(/WROTE/g)].length;

    const second = await boot(home, 'old', 'GUEST-READY');
    assert.match(second.log, new RegExp(`CHECK good ${files} bad 0\\n`));

    const exported = await bootExported(home, old);
    assert.match(exported.log, /CHECK good 0 bad 0\n/);

    await lab.client.createVm({ ...machine, name: 'new', generation: 2 });
    await home.ok('backup', 'new');
    const uefi = await boot(home, 'new', 'GUEST-READY');
    assert.match(uefi.log, /GUEST-OFF/);
    await home.ok('verify');
    t.diagnostic(
      `ready after ${first.readyAfterMs} ms from the repository, again after ${second.readyAfterMs} ms; ` +
        `exported first (${exported.exportMs} ms) after ${exported.readyAfterMs} ms; by UEFI after ${uefi.readyAfterMs} ms`,
    );
  },
);
