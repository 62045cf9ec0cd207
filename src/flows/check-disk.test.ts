import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode, KiB, MiB } from '../base/index.ts';
import { createVhd } from '../vhd/index.ts';
import { createVhdx } from '../vhdx/index.ts';
import { checkDisk, repairDisk } from './check-disk.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-check-'));
after(() => rm(folder, { recursive: true }));

async function overwrite(path: string, at: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, at);
  await file.close();
}

const codesOf = async (path: string): Promise<string[]> =>
  (await checkDisk(path)).findings.map(({ code, severity }) => `${severity} ${code}`);

test('a VHDX: sound, with a damaged copy of its header, and mended in a new file', async () => {
  const path = join(folder, 'a.vhdx');
  await createVhdx(path, { size: 8 * MiB, kind: 'dynamic' });
  assert.deepEqual(await checkDisk(path), {
    path,
    format: 'vhdx',
    sound: true,
    findings: [],
    moreFindings: 0,
    virtualBytes: 8 * MiB,
  });
  await overwrite(path, 64 * KiB, Buffer.alloc(64, 1));
  assert.deepEqual(await codesOf(path), ['notice VHDX_HEADER_DAMAGED']);
  const copy = join(folder, 'mended.vhdx');
  await repairDisk(path, copy);
  assert.deepEqual(await codesOf(copy), []);
  await assert.rejects(repairDisk(path, copy), (error) => hasCode(error, 'VHDX_FILE_EXISTS'));
});

test('a VHD: its notes are notices, its damage is damage, and no copy is offered', async () => {
  const path = join(folder, 'a.vhd');
  await createVhd(path, { size: 8 * MiB, kind: 'dynamic' });
  assert.equal((await checkDisk(path)).sound, true);
  await overwrite(path, 0, Buffer.alloc(64, 1));
  assert.deepEqual(await codesOf(path), ['notice VHD_FOOTERS_DIFFER']);
  await overwrite(path, 512, Buffer.alloc(64, 1));
  const { sound, findings } = await checkDisk(path);
  assert.equal(sound, false);
  assert.match(findings[0]!.code, /^VHD_/);
  await assert.rejects(repairDisk(path, join(folder, 'b.vhd')), (error) =>
    hasCode(error, 'FLOW_REPAIR_UNSUPPORTED'),
  );
});

test('what is no disk is refused', async () => {
  const path = join(folder, 'notes.txt');
  await writeFile(path, 'not a disk');
  await assert.rejects(checkDisk(path), (error) => hasCode(error, 'VIRTUALDISK_NOT_A_DISK'));
  await assert.rejects(checkDisk(join(folder, 'none')), (error) => hasCode(error, 'FLOW_NO_SUCH_FILE'));
  await assert.rejects(checkDisk(folder), (error) => /^(FLOW|DISK)_/.test((error as { code: string }).code));
});
