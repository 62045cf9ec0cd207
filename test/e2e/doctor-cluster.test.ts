/** `hvlift doctor` at one node of a cluster: what it finds of the others, and of one that does not answer. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLab, type Lab } from '../../lab/control/index.ts';
import { INSTANT } from '../../lab/model/index.ts';
import { MiB } from '../../src/base/index.ts';
import { diagnose, type DoctorTarget, type Finding } from '../../src/doctor/index.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';

async function withLab(
  work: (lab: Lab, target: (url: string) => DoctorTarget) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hvlift-lab-'));
  await using parts = new AsyncDisposableStack();
  parts.defer(() => rm(folder, { recursive: true, force: true }));
  const lab = parts.use(await createLab({ folder, nodes: 3, settings: INSTANT }));
  const credentials = { user: lab.user, password: (await readFile(lab.passwordFile, 'utf8')).trim() };
  await work(lab, (url) => ({
    winrm: { url, credentials },
    ports: [{ use: 'winrm', host: '127.0.0.1', port: Number(new URL(url).port) }],
    openFiles: () => createFsHostFiles({ mappings: lab.mappings }),
  }));
}

/** What `hvlift doctor` would find when its host is the first node, and `urls` lead to the others. */
async function found(
  target: (url: string) => DoctorTarget,
  [first, ...others]: readonly string[],
): Promise<Finding[]> {
  const asked: string[] = [];
  const nodeOf: DoctorTarget['nodeOf'] = async ({ name }, node) => {
    asked.push(`${node} of ${name}`);
    return { ...target(others[Number(node.slice(-1)) - 2]!), [Symbol.asyncDispose]: async () => undefined };
  };
  const findings = await Array.fromAsync(
    diagnose({ ...target(first!), nodeOf }, new AbortController().signal),
  );
  assert.deepEqual(asked, ['NODE2 of CL01', 'NODE3 of CL01']);
  return findings;
}

const statesOf = (findings: readonly Finding[], wanted: string | undefined): string[] =>
  findings.filter(({ node }) => node === wanted).map(({ id, state }) => `${id} ${state}`);

test('each other node is looked at: the way to it, the log-on, the rights, and a disk of a VM it owns', () =>
  withLab(async (lab, target) => {
    const { id } = await lab.host.createVm({ name: 'sql', power: 'off', disks: [{ size: 4 * MiB }] });
    await lab.moveVm(id, 'NODE3');
    const requests = new Set(['Identify', 'Enumerate', 'Pull', 'Release', 'Get']);
    const findings = await found(
      target,
      lab.nodes!.map(({ url }) => url),
    );
    assert.deepEqual(statesOf(findings, undefined).slice(-2), ['changes unproved', 'cluster ok']);
    const way = [
      'name ok',
      'port-winrm ok',
      'service ok',
      'clock ok',
      'log-on-kerberos skipped',
      'log-on-ntlm ok',
    ];
    assert.deepEqual(statesOf(findings, 'NODE2'), [...way, 'rights ok', 'data-path unproved']);
    assert.deepEqual(statesOf(findings, 'NODE3'), [...way, 'rights ok', 'data-path ok']);
    assert.match(findings.at(-1)!.seen, /^C:\\ClusterStorage\\Volume1\\sql\\disk\.vhdx: a VHDX/);
    assert.deepEqual(
      findings.map(({ node }) => node).filter((node, at, all) => at === 0 || node !== all[at - 1]),
      [undefined, 'NODE2', 'NODE3'],
      'node after node',
    );
    for (const action of Object.keys(lab.wire.stats.requests)) assert.ok(requests.has(action), action);
  }));

test('a node that does not answer is a finding of its own, with what to do, and the next is looked at all the same', () =>
  withLab(async (lab, target) => {
    const [first, , third] = lab.nodes!.map(({ url }) => url);
    const findings = await found(target, [first!, 'http://127.0.0.1:1', third!]);
    assert.deepEqual(statesOf(findings, 'NODE2'), ['name ok', 'port-winrm failed', 'inside skipped']);
    const closed = findings.find(({ node, state }) => node === 'NODE2' && state === 'failed')!;
    assert.equal(closed.code, 'DOCTOR_PORT_CLOSED');
    assert.ok(closed.fix!.powershell.length > 0);
    assert.ok(statesOf(findings, 'NODE3').includes('rights ok'));
  }));
