/** A host of the lab with as many VMs as its argument says, for the process that started it; ends when told to. */
import { once } from 'node:events';
import { join } from 'node:path';
import { MiB } from '../src/base/index.ts';
import { INSTANT, LabHost } from '../lab/model/index.ts';
import { scratch } from '../lab/model/scratch.fixture.ts';
import { startWire } from '../lab/wire/index.ts';
import { manyVms } from '../test/interop/many-vms.fixture.ts';

export interface ManyVms {
  readonly url: string;
  readonly credentials: { readonly user: string; readonly password: string };
}

const credentials = { user: 'Administrator', password: 'Passw0rd of a benchmark' };
await using temporary = await scratch();
const lab = await LabHost.open(join(temporary.folder, 'host'), { settings: INSTANT });
const disks = Array.from({ length: 4 }, () => ({ size: 4 * MiB }));
const { id } = await lab.createVm({ name: 'web', disks });
const provider = manyVms(lab.provider, id, Number(process.argv[2]));
// Made before anybody asks: a host knows its VMs, it does not think them up.
for (const name of [
  'Msvm_ComputerSystem',
  'Msvm_VirtualSystemSettingData',
  'Msvm_StorageAllocationSettingData',
]) {
  await provider.instances(name, { user: credentials.user });
}
const wire = await startWire({ provider, users: [credentials] });
const ready: ManyVms = { url: wire.url, credentials };
process.send!(ready);
await once(process, 'message');
await wire.close();
await lab.close();
process.disconnect();
