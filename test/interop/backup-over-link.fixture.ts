/**
 * The main job with the host's disks served by somebody else: control over sealed WinRM from the lab, data through
 * `files`, which reaches its server by a link that is cut again and again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/base/index.ts';
import { createHyperVSource } from '../../src/capture/index.ts';
import { backupVm, restorePoint } from '../../src/flows/index.ts';
import type { HostFiles } from '../../src/hostfile/index.ts';
import { createHyperV } from '../../src/hyperv/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import type { LabHost } from '../../lab/model/index.ts';
import { startWire } from '../../lab/wire/index.ts';
import { startLink, type ShakyLink } from './shaky-link.fixture.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };

/** A link to `port` that breaks every 6 MiB. */
export function startCutLink(port: number): Promise<ShakyLink> {
  return startLink(port, {
    toClient(bytes, passed, self) {
      if (passed > 6 * MiB) self.cut();
      return bytes;
    },
  });
}

/** A full and two increments, each restored and compared with the truth. Closes `files`; `folder` holds what is made. */
export async function assertBacksUpExactly(
  lab: LabHost,
  files: HostFiles,
  link: ShakyLink,
  folder: string,
): Promise<void> {
  const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
  const session = await openWinrm({ url: wire.url, credentials: ACCOUNT });
  try {
    const hyperv = createHyperV(session, { pollMs: 5 });
    const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
    const store = await openDirectoryStore(join(folder, 'repository'), { create: true });
    const { repository } = await createRepository(store, { encryption: { passphrase: 'of this test' } });
    const deps = { source, repository, resolveVm: (name: string) => hyperv.vm(name) };

    const { id } = await lab.createVm({ name: 'web01', disks: [{ size: 64 * MiB }, { size: 33 * MiB }] });
    await lab.guestRun(id, { seed: 1, writes: 60 });
    await lab.guestWrite(id, { offset: 0, length: 30 * MiB, seed: 2 });
    const records = [await backupVm(deps, { vm: 'web01' })];
    for (const seed of [3, 4]) {
      await lab.guestWrite(id, { offset: seed * 7 * MiB, length: 640 * KiB, seed });
      records.push(await backupVm(deps, { vm: 'web01' }));
    }

    assert.deepEqual(
      records.map(({ outcome, disks }) => [outcome, disks[0]!.kind]),
      [
        ['ok', 'full'],
        ['ok', 'delta'],
        ['ok', 'delta'],
      ],
    );
    const seals = await lab.seals(id);
    for (const [index, { pointId }] of records.entries()) {
      const to = join(folder, `restore ${index}`);
      const point = await repository.point(pointId);
      const restored = await restorePoint(repository, { point, folder: to, format: 'raw' });
      for (const disk of restored.disks) {
        assert.equal(await lab.compareImage(seals[index]!.id, disk.diskId, disk.path), null);
      }
    }
    assert.ok(link.seen.connections > 3, `${link.seen.connections} connections`);
  } finally {
    await files.close();
    await session.close();
    await wire.close();
  }
}
