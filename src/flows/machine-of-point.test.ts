/** The machine of a restore point has the disks in the places they had on the VM, and lacks none that is served. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newGuid } from '../base/index.ts';
import type { RestorePoint } from '../repository/index.ts';
import { draftOf, openTest } from '../repository/repository.fixture.ts';
import { machineOfPoint } from './machine-of-point.ts';

const folder = await mkdtemp(join(tmpdir(), 'hvlift-machine-'));
after(() => rm(folder, { recursive: true }));
const repository = await openTest(undefined, false);
const SIZE = 1024 * 1024;

const PLACES = [
  ['scsi', 0, 1],
  ['ide', 1, 0],
  ['ide', 0, 1],
  ['ide', 0, 0],
] as const;
const names = PLACES.map(([controller, number, slot]) => `${controller}-${number}-${slot}`);

async function pointOf(): Promise<RestorePoint> {
  await using session = await repository.startSession({ workers: 0 });
  const root = { id: null, levels: 1 };
  const draft = await draftOf(
    session,
    PLACES.map(() => ({ root, size: SIZE })),
    newGuid(),
  );
  const disks = PLACES.map(([kind, number, slot]) => ({
    attachmentId: `attachment ${kind} ${number} ${slot}`,
    path: `C:\\${kind}-${number}-${slot}.vhdx`,
    controller: { kind, number },
    slot,
  }));
  const configuration = await session.putBlob(Buffer.from(JSON.stringify({ generation: 1, disks })));
  return await session.commit({
    ...draft,
    vm: { ...draft.vm, generation: 1, configuration },
    disks: draft.disks.map((disk, index) => {
      const [controller, controllerNumber, slot] = PLACES[index]!;
      return { ...disk, diskId: names[index]!, attachment: { controller, controllerNumber, slot } };
    }),
  });
}

test('a served point boots from the first IDE slot, whatever the order of its disks, and is told to lack only what is not served', async () => {
  const point = await pointOf();
  const served = async (disks: readonly string[]) => {
    const exports = disks.map((diskId) => ({
      diskId,
      size: SIZE,
      address: `nbd+unix:///${diskId}?socket=/run/nbd.sock`,
    }));
    const parts = { point, exports, overlay: folder };
    const { definition, notes } = await machineOfPoint(repository, parts, {
      kind: 'libvirt-xml',
      choices: {},
    });
    const found = [...definition.matchAll(/protocol="nbd" name="([^"]+)"/g)].map(([, name]) => name!);
    return { found, missing: notes.filter(({ code }) => code === 'MACHINE_DISKS_MISSING') };
  };
  const all = await served(names);
  assert.deepEqual(all, { found: ['ide-0-0', 'ide-0-1', 'ide-1-0', 'scsi-0-1'], missing: [] });
  const one = await served(['ide-0-0']);
  assert.match(one.missing[0]!.message, /lacks 3 disks/);
});
