/** The lab as a process: found by its folder, steered from outside, killed, and found again as it was. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MiB } from '../../src/base/index.ts';
import { FileReader } from '../../src/disk/index.ts';
import { openVhdxChain } from '../../src/vhdx/index.ts';
import { INSTANT, LabFailure } from '../model/index.ts';
import { scratch } from '../model/scratch.fixture.ts';
import { connectFolder, connectLab, createLab, type LabAddress } from './index.ts';
import { HOST_METHODS } from './methods.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

interface Started {
  readonly process: ChildProcess;
  readonly address: LabAddress;
}

async function startProcess(folder: string, ...args: string[]): Promise<Started> {
  const child = spawn(process.execPath, ['-C', 'source', main, 'start', '--folder', folder, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { process: child, address: JSON.parse(line) as LabAddress };
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Runs `hvlift lab` with arguments: exit code and output. */
async function lab(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, ['-C', 'source', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const read = async (stream: AsyncIterable<Buffer>): Promise<string> =>
    Buffer.concat(await Array.fromAsync(stream)).toString();
  const [out, err, code] = await Promise.all([read(child.stdout), read(child.stderr), ended(child)]);
  return { code, out, err };
}

test('everything a test can do in the process it can do from outside, bytes and refusals included', async () => {
  await using temporary = await scratch();
  await using running = await createLab({ folder: temporary.folder, settings: INSTANT });
  const client = await connectLab(running);
  for (const name of HOST_METHODS) assert.equal(typeof client[name], 'function', name);
  const vm = await client.createVm({ name: 'vm', disks: [{ size: 4 * MiB }] });
  const bytes = new Uint8Array(512).fill(7);
  await client.guestWrite(vm.id, { offset: 512, bytes });
  const { diskId } = vm.disks[0]!;
  assert.deepEqual(await client.guestRead(vm.id, { offset: 512, length: 512 }), Buffer.from(bytes));
  const seal = await client.mark(vm.id);
  await client.guestTrim(vm.id, { offset: 512, length: 512 });
  const reader = await client.truthReader(seal.id, diskId);
  const image = Buffer.alloc(reader.size);
  await reader.read(0, image);
  assert.ok(image.subarray(512, 1024).equals(bytes));
  const path = join(temporary.folder, 'image.raw');
  await writeFile(path, image);
  assert.equal(await client.compareImage(seal.id, diskId, path), null);
  assert.equal(await client.compareImage('now', diskId, path), 512);
  const refused = (error: unknown): boolean => error instanceof LabFailure && error.code === 32773;
  await assert.rejects(client.vm('nobody'), refused);
  await assert.rejects(createLab({ folder: temporary.folder }), /runs in .* already/);
});

test('the control API is closed without the token, which like the password only the owner can read', async () => {
  await using temporary = await scratch();
  await using running = await createLab({ folder: temporary.folder });
  for (const authorization of ['', 'Bearer ', 'Bearer wrong']) {
    const response = await fetch(`${running.controlUrl}/vms`, { method: 'POST', headers: { authorization } });
    assert.equal(response.status, 401);
  }
  const token = (await readFile(running.controlTokenFile, 'utf8')).trim();
  const headers = { authorization: `Bearer ${token}` };
  assert.equal((await fetch(`${running.controlUrl}/vms`, { method: 'POST', headers })).status, 200);
  assert.equal((await fetch(`${running.controlUrl}/vms`, { headers })).status, 404, 'a GET does nothing');
  assert.equal((await fetch(`${running.controlUrl}/close`, { method: 'POST', headers })).status, 404);
  for (const file of [running.passwordFile, running.controlTokenFile]) {
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  }
});

test('killed while its guest writes, the lab comes back with disks that hold what the truth holds', async () => {
  await using temporary = await scratch();
  const { folder } = temporary;
  const first = await startProcess(folder, '--vm', 'db=16MiB,8MiB', '--instant');
  const client = await connectFolder(folder);
  await client.guestRun('db', { seed: 1, writes: 50, trims: 0.2 });
  await client.startWriter('db', { seed: 2, writesPerSecond: 2000, writeBytes: 16_384, trims: 0.2 });
  for (let i = 0; i < 5; i += 1)
    await client.truthRead('now', {
      diskId: (await client.vm('db')).disks[0]!.diskId,
      offset: 0,
      length: 512,
    });
  first.process.kill('SIGKILL');
  await ended(first.process);

  const second = await startProcess(folder, '--vm', 'db=1MiB', '--instant');
  const again = await connectFolder(folder);
  const vm = await again.vm('db');
  assert.deepEqual(
    vm.disks.map(({ size }) => size),
    [16 * MiB, 8 * MiB],
  );
  const password = await readFile(second.address.passwordFile, 'utf8');
  await again.setPower('db', 'off');
  for (const { diskId, files } of vm.disks) {
    const local = join(second.address.mappings[0]!.to, files[0]!.slice(3).replaceAll('\\', '/'));
    const disk = await openVhdxChain(local, { open: (file) => FileReader.open(file) });
    const image = Buffer.alloc(disk.size);
    await disk.read(0, image);
    await disk.close();
    await writeFile(join(folder, 'image.raw'), image);
    assert.equal(await again.compareImage('now', diskId, join(folder, 'image.raw')), null);
  }
  await again.stop();
  assert.equal(await ended(second.process), 0);
  assert.equal(await readFile(join(folder, 'password'), 'utf8'), password, 'the password stays');
});

test('hvlift lab: a disk through the commands, from a write to a compared image', async () => {
  await using temporary = await scratch();
  const folder = ['--folder', temporary.folder];
  const { code: nothing, err } = await lab('status', ...folder);
  assert.equal(nothing, 1);
  assert.match(err, /no lab runs in/);
  await using running = await createLab({ folder: temporary.folder, settings: INSTANT });
  await lab('vm', 'add', 'web', '4MiB', ...folder);
  const [vm] = await running.host.vms();
  await lab('guest', 'write', 'web', '64KiB', '8KiB', ...folder);
  await lab('guest', 'run', 'web', '10', '--size', '4KiB', ...folder);
  const image = join(temporary.folder, 'web.raw');
  const { diskId } = vm!.disks[0]!;
  await lab('truth', 'export', 'now', diskId, image, ...folder);
  assert.match((await lab('truth', 'compare', 'now', diskId, image, ...folder)).out, /the same/);
  await lab('guest', 'trim', 'web', '64KiB', '512', ...folder);
  const compared = await lab('truth', 'compare', 'now', diskId, image, ...folder);
  assert.deepEqual([compared.code, compared.out], [3, 'different from byte 65536 on\n']);
  await lab('call', 'configure', '{"mergeDelayMs":60000}', ...folder);
  assert.equal(running.host.options.mergeDelayMs, 60_000);
  assert.equal(running.host.options.job.runningMs, 0, 'what was not named stays');
  assert.equal((await lab('vm', 'power', 'web', 'sideways', ...folder)).code, 64);
  assert.equal((await lab('vm', 'power', 'nobody', 'off', ...folder)).code, 2);
});
