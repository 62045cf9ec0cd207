/** The emulated host before `wsl`, a client written against the hosts of another vendor. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { scratch } from '../../lab/model/scratch.fixture.ts';
import { startWire } from '../../lab/wire/index.ts';
import { needsWsl, startWsl, type Wsl } from './wsl.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd-of-a-test' };
const CLASSES = 'http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2';
const SYSTEM = `${CLASSES}/Msvm_ComputerSystem`;
const NAMES = ['sql01', 'a "quoted" & <angled> name', '検証サーバー'];

test(
  'wslenum and wslget list the VMs of the lab, page by page, by query and one by one',
  needsWsl,
  async (t) => {
    await using temporary = await scratch();
    const lab = await LabHost.open(join(temporary.folder, 'host'), { settings: INSTANT });
    const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
    await using cleanUp = new AsyncDisposableStack();
    cleanUp.defer(() => lab.close());
    cleanUp.defer(() => wire.close());
    const ids = new Map<string, string>();
    for (const name of NAMES)
      ids.set(name, (await lab.createVm({ name, disks: [{ size: 1024 * 1024 }] })).id);
    const wsl = cleanUp.use(await startWsl(join(temporary.folder, 'wsl'), wire.port, ACCOUNT));

    await t.test('Enumerate and Pull, one instance a page', async () => {
      const before = wsl.carried;
      assert.deepEqual(await namesBy(wsl, [SYSTEM]), NAMES.toSorted());
      assert.equal(wsl.carried - before, 2 + NAMES.length, 'Enumerate, and a Pull for each VM and the host');
    });

    await t.test('all in one page', async () => {
      const before = wsl.carried;
      assert.deepEqual(await namesBy(wsl, [SYSTEM, '-opti', '100']), NAMES.toSorted());
      assert.equal(wsl.carried - before, 1);
    });

    await t.test('a query in WQL', async () => {
      const filter = "SELECT * FROM Msvm_ComputerSystem WHERE ElementName='sql01'";
      const dialect = 'http://schemas.microsoft.com/wbem/wsman/1/WQL';
      assert.deepEqual(await namesBy(wsl, [`${CLASSES}/*`, '-dialect', dialect, '-filter', filter]), [
        'sql01',
      ]);
    });

    await t.test('Get of each VM by its keys', async () => {
      for (const [name, id] of ids) {
        const shown = await wsl.run('wslget', [
          SYSTEM,
          `Name=${id}`,
          'CreationClassName=Msvm_ComputerSystem',
        ]);
        assert.deepEqual(namesIn(shown), [name]);
        assert.match(shown, new RegExp(`<p:Name>${id}</p:Name>`, 'i'));
      }
    });

    await t.test('a VM that does not exist is a fault, a class that does not exist too', async () => {
      const nobody = ['Name=00000000-0000-4000-8000-000000000000', 'CreationClassName=Msvm_ComputerSystem'];
      assert.match(await wsl.run('wslget', [SYSTEM, ...nobody]), /DestinationUnreachable/);
      assert.match(await wsl.run('wslenum', [`${CLASSES}/Msvm_Nothing`]), /<s:Fault>/);
    });

    await t.test('a wrong password shows nothing', async () => {
      assert.match(await wsl.run('wslenum', [SYSTEM], 'wrong'), /verify credentials/);
    });
  },
);

/** The VMs that wslenum shows; the host, which is in the same class, left out. */
async function namesBy(wsl: Wsl, args: readonly string[]): Promise<string[]> {
  return namesIn(await wsl.run('wslenum', args))
    .filter((name) => NAMES.includes(name))
    .toSorted();
}

const ENTITIES: readonly (readonly [RegExp, string])[] = [
  [/&quot;/g, '"'],
  [/&lt;/g, '<'],
  [/&gt;/g, '>'],
  [/&#x([0-9A-F]+);/gi, ''],
  [/&amp;/g, '&'],
];

function namesIn(shown: string): string[] {
  return Array.from(shown.matchAll(/<p:ElementName>([^<]*)<\/p:ElementName>/g), ([, text]) =>
    ENTITIES.reduce(
      (plain, [entity, char]) =>
        plain.replace(entity, (_whole, code?: string) =>
          char === '' ? String.fromCodePoint(Number.parseInt(code!, 16)) : char,
        ),
      text!,
    ),
  );
}
