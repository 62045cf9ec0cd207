/** `hvlift lab start --guest qemu`, as a process; its guest is not waited for, which test/e2e does. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { requires } from '../../test/requires.ts';
import { connectLab, type LabAddress } from '../control/index.ts';
import { findKernel, GUEST_PROGRAMS } from '../guest-qemu/index.ts';
import { scratch } from '../model/scratch.fixture.ts';

const UNPROVED = 'guests of the lab that are real';
const NEEDS = findKernel()
  ? requires(['qemu-system-x86_64', ...GUEST_PROGRAMS], UNPROVED)
  : { skip: `the kernel of linux-image-cloud-amd64 is missing; not proved: ${UNPROVED}` };

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** The processes whose arguments name the folder, but for Node's. */
async function programsOf(folder: string): Promise<string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes(folder) && !command.includes(main));
}

test(
  'a VM without disks gets a small Linux on two, which ends with the lab, also when that is killed',
  NEEDS,
  async () => {
    await using temporary = await scratch();
    const { folder } = temporary;
    const argv = [main, 'start', '--guest', 'qemu', '--vm', 'web', '--folder', folder];
    const child = spawn(process.execPath, ['-C', 'source', ...argv], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
      const client = await connectLab(JSON.parse(line) as LabAddress);
      const [vm] = await client.vms();
      assert.deepEqual(
        [vm!.guest, vm!.power, vm!.disks.length, vm!.vss],
        ['qemu', 'running', 2, 'no-contact'],
      );
      assert.equal((await programsOf(folder)).length, 1);
      await client.setPower('web', 'off');
      assert.deepEqual(await programsOf(folder), []);
      await client.setPower('web', 'running');
      assert.equal((await programsOf(folder)).length, 1);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    while ((await programsOf(folder)).length > 0) await wait(50);
  },
);
