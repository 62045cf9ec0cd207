import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWire } from '../../lab/wire/index.ts';
import { FixtureProvider } from '../../lab/wire/provider.fixture.ts';
import { listWithPywinrm, needsPywinrm } from './pywinrm.ts';

const users = [{ user: 'hvuser', password: 'Pässw0rd!' }];

test('pywinrm lists the VMs of the wire, every message sealed', needsPywinrm, async () => {
  const provider = new FixtureProvider();
  const wire = await startWire({ provider, users });
  try {
    const answer = await listWithPywinrm(wire.url, 'LAB\\hvuser', 'Pässw0rd!');
    const expected = provider.vms.map((vm) => [vm.properties['Name'], vm.properties['ElementName']]);
    assert.deepEqual(answer, { vms: expected });
    assert.equal(wire.stats.requests['Pull'], provider.vms.length);
  } finally {
    await wire.close();
  }
});

test('pywinrm with a wrong password is refused', needsPywinrm, async () => {
  const wire = await startWire({ provider: new FixtureProvider(), users });
  try {
    const answer = await listWithPywinrm(wire.url, 'LAB\\hvuser', 'wrong');
    assert.equal(answer.error, 'InvalidCredentialsError', answer.text);
    assert.deepEqual(wire.stats.requests, {});
  } finally {
    await wire.close();
  }
});
