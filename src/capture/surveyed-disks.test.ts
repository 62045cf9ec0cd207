/** Which answers of the way to a file mean that there is none, and which only that its VM has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../base/index.ts';
import { hostFileFaults, type HostFiles } from '../hostfile/index.ts';
import { hypervFaults, type HyperV, type Vm } from '../hyperv/index.ts';
import { surveyDisks, type SurveyedDisk } from './surveyed-disks.ts';

interface Said {
  /** Of every file, or of one of them. */
  readonly file?: Fault;
  readonly at?: string;
  readonly host?: Fault;
  readonly state?: Vm['state'];
  /** Parents of each file, leaf first. */
  readonly chain?: readonly string[];
  readonly chainMax?: number;
  readonly loops?: true;
}

async function survey({
  file,
  at,
  host,
  state = 'running',
  chain = ['C:\\a.vhdx'],
  chainMax = 25,
  loops,
}: Said = {}) {
  let opened = 0;
  let most = 0;
  const paths: string[] = [];
  let asked = 0;
  const attached = {
    path: chain[0]!,
    kind: 'virtual',
    shared: false,
    slot: 0,
    controller: { kind: 'scsi', number: 0 },
  };
  const hyperv = {
    disks: async () => [attached],
    diskInfo: async (path: string) => {
      asked += 1;
      if (host) throw host;
      const next = chain.indexOf(path) + 1;
      const parentPath = chain[loops ? next % chain.length : next];
      return { format: 'vhdx', size: 1, ...(parentPath === undefined ? {} : { parentPath }) };
    },
  } as unknown as HyperV;
  const files = {
    open: async (path: string) => {
      if (file && (at ?? path) === path) throw file;
      paths.push(path);
      opened += 1;
      most = Math.max(most, opened);
      await new Promise(setImmediate);
      return { close: async () => void (opened -= 1) };
    },
  } as unknown as HostFiles;
  const vm = { id: 'v', name: 'web', state } as Vm;
  const [disk] = await surveyDisks({ hyperv, files, hostName: 'h' }, vm, { chainMax }, {});
  return { disk: disk as SurveyedDisk, opened, most, paths, asked };
}

const codeOf = async (said: Said): Promise<string | undefined> => (await survey(said)).disk.unreachable?.code;

const UNREACHABLE = 'CAPTURE_DISK_UNREACHABLE';

test('no mapping, no share, no file, no right: no way; a file that its running VM holds is found, whatever that looks like', async () => {
  for (const file of [
    hostFileFaults.noMapping(),
    hostFileFaults.noShare(),
    hostFileFaults.notFound(),
    hostFileFaults.noAccess(),
  ])
    assert.equal(await codeOf({ file }), UNREACHABLE, file.code);
  for (const file of [hostFileFaults.inUse(), hostFileFaults.noAccessOrHeld(), hostFileFaults.unavailable()])
    assert.equal(await codeOf({ file }), undefined, file.code);
  for (const file of [hostFileFaults.inUse(), hostFileFaults.noAccessOrHeld()])
    assert.equal(await codeOf({ file, state: 'off' }), UNREACHABLE, file.code);
  const { opened, asked } = await survey();
  assert.deepEqual([opened, asked], [0, 1], 'closed again, and one question for a disk of one file');
});

test('every file of a chain is tried, a few at once: a parent that cannot be read is found before there is a checkpoint', async () => {
  const chain = Array.from({ length: 12 }, (_, index) => `C:\\layer-${index}.avhdx`);
  const { paths, most, opened } = await survey({ chain });
  assert.deepEqual(paths.toSorted(), chain.toSorted());
  assert.deepEqual([most, opened], [4, 0]);
  for (const file of [
    hostFileFaults.noMapping(),
    hostFileFaults.noAccess(),
    hostFileFaults.noAccessOrHeld(),
    hostFileFaults.inUse(),
  ]) {
    const tried = await survey({ chain, file, at: chain.at(-1)! });
    assert.equal(tried.disk.unreachable?.code, UNREACHABLE, file.code);
    assert.equal(tried.opened, 0);
  }
});

test('a disk the host does not find is the fault of the disk; a host that fails ends the survey', async () => {
  assert.equal(await codeOf({ host: hypervFaults.diskMissing({ path: 'x' }) }), 'HYPERV_DISK_MISSING');
  await assert.rejects(codeOf({ host: hypervFaults.jobStuck({}) }), { code: 'HYPERV_JOB_STUCK' });
});

test('a chain may have so many files and no more, and one that leads back to itself ends', async () => {
  const chain = ['C:\\c.avhdx', 'C:\\b.avhdx', 'C:\\a.vhdx'];
  assert.deepEqual((await survey({ chain, chainMax: 3 })).disk.files, chain);
  assert.equal(await codeOf({ chain, chainMax: 3 }), undefined);
  assert.equal(await codeOf({ chain, chainMax: 2 }), 'CAPTURE_CHAIN_TOO_DEEP');
  const loop = await survey({ chain, chainMax: 5, loops: true });
  assert.deepEqual([loop.disk.unreachable?.code, loop.asked], ['CAPTURE_CHAIN_TOO_DEEP', 6]);
});
