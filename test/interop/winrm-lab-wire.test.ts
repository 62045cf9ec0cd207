/**
 * The client against the lab's wire, which was written from the same sources without sharing code with it: what one writes
 * the other must read.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startWire, type WireOptions } from '../../lab/wire/index.ts';
import { FixtureProvider, OTHER_VM_ID, VM_ID } from '../../lab/wire/provider.fixture.ts';
import {
  cimClass,
  embedded,
  openWinrm,
  parseObjectPath,
  wql,
  type WinrmSession,
} from '../../src/winrm/index.ts';

const ComputerSystem = cimClass('Msvm_ComputerSystem', {
  properties: {
    CreationClassName: 'string key',
    Name: 'string key',
    ElementName: 'string',
    EnabledState: 'uint16',
    OnTimeInMilliseconds: 'uint64',
    OperationalStatus: 'uint16[]',
    StatusDescriptions: 'string[]',
    InstallDate: 'datetime',
    TimeOfLastStateChange: 'datetime',
    ElapsedTime: 'datetime',
    Cancellable: 'boolean',
  },
});
const SettingData = cimClass('Msvm_VirtualSystemSettingData', {
  properties: {
    InstanceID: 'string key',
    Parent: 'string',
    Notes: 'string[]',
    AutomaticStartupActionDelay: 'datetime',
  },
});
const State = cimClass('Msvm_SettingsDefineState', {
  properties: { ManagedElement: 'ref', SettingData: 'ref' },
});
const echoed = {
  Text: 'string',
  Number: 'uint64',
  Numbers: 'uint16[]',
  Reference: 'ref',
  Settings: 'embedded',
  Flag: 'boolean',
} as const;
const Service = cimClass('Msvm_VirtualSystemManagementService', {
  properties: { CreationClassName: 'string key' },
  methods: {
    Echo: { input: echoed, output: { ...echoed, Job: 'ref' } },
    Fail: { input: { Status: 'uint32' }, output: {} },
    Fill: { input: { Count: 'uint32' }, output: { Values: 'uint64[]' } },
  },
});
const SERVICE_KEYS = { CreationClassName: 'Msvm_VirtualSystemManagementService' };
const ACCOUNT = { user: 'backup', domain: 'LAB', password: 'Pä$$w0rd' };

async function withLab(
  run: (session: WinrmSession, provider: FixtureProvider) => Promise<void>,
  options: Partial<WireOptions> = {},
): Promise<void> {
  const provider = new FixtureProvider();
  const wire = await startWire({ provider, users: [ACCOUNT], ...options });
  try {
    const credentials = { user: 'LAB\\backup', password: ACCOUNT.password };
    await using session = await openWinrm({ url: wire.url, credentials });
    await run(session, provider);
  } finally {
    await wire.close();
  }
}

for (const language of ['ja-JP', 'en-US'] as const) {
  test(`every machine of a ${language} host, names with quotes, markup and foreign letters included`, async () => {
    const run = async (session: WinrmSession): Promise<void> => {
      const systems = await Array.fromAsync(session.enumerate(ComputerSystem));
      assert.deepEqual(
        systems.map((system) => [system.Name, system.ElementName, system.OnTimeInMilliseconds]),
        [
          ['HV1', 'HV1', null],
          [VM_ID, 'web 01', 5_833_087_303n],
          [OTHER_VM_ID, `O'Neil\\"50 %" <仮想> & co`, 5_833_087_303n],
        ],
      );
      const [, machine, other] = systems;
      assert.deepEqual(machine!.OperationalStatus, [2]);
      assert.deepEqual(machine!.StatusDescriptions, []);
      assert.deepEqual(machine!.ElapsedTime, { intervalSeconds: 1.00417 });
      assert.deepEqual(machine!.TimeOfLastStateChange, { date: new Date('2026-07-29T14:11:00.019Z') });
      assert.equal(machine!.Cancellable, null);
      assert.equal(other!.InstallDate, null, '1601 is never');
    };
    await withLab(run, { traits: { language } });
  });
}

test('a query finds a machine by the most awkward name', async () => {
  await withLab(async (session) => {
    const name = `O'Neil\\"50 %" <仮想> & co`;
    const query = wql`SELECT * FROM Msvm_ComputerSystem WHERE ElementName = ${name}`;
    const found = await Array.fromAsync(session.query(ComputerSystem, query));
    assert.deepEqual(
      found.map((system) => system.Name),
      [OTHER_VM_ID],
    );
  });
});

test('associations are followed by a reference in a query, and read as references', async () => {
  await withLab(async (session) => {
    const [state] = await Array.fromAsync(session.enumerate(State));
    assert.equal(state!.ManagedElement!.keys['Name'], VM_ID);
    const query = wql`ASSOCIATORS OF ${state!.ManagedElement!} WHERE ResultClass = Msvm_VirtualSystemSettingData`;
    const settings = await Array.fromAsync(session.query(SettingData, query));
    assert.deepEqual(
      settings.map((each) => each.InstanceID),
      [`Microsoft:${VM_ID}`],
    );
    assert.deepEqual(settings[0]!.Notes, ['one', '']);
    assert.deepEqual(settings[0]!.AutomaticStartupActionDelay, { intervalSeconds: 30 });
    assert.equal(parseObjectPath(settings[0]!.Parent!).keys['InstanceID'], `Microsoft:${VM_ID}\\0`);
  });
});

test('every kind of parameter comes back as it was sent', async () => {
  await withLab(async (session) => {
    const sent = {
      Text: 'a & <b> "c" \\ 仮想\nline',
      Number: 18_446_744_073_709_551_615n,
      Numbers: [3, 1, 2],
      Reference: {
        className: 'Msvm_ComputerSystem',
        keys: { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID },
      },
      Settings: embedded(SettingData, { InstanceID: 'Microsoft:a\\b', Notes: ['x & y', '<z>'] }),
      Flag: true,
    };
    const { returnValue, Job, ...back } = await session.invoke(Service, SERVICE_KEYS, 'Echo', sent);
    assert.deepEqual([returnValue, Job], [0, null]);
    const { Settings: settings, ...plain } = back;
    const { Settings: sentSettings, ...sentPlain } = sent;
    assert.deepEqual(plain, sentPlain);
    assert.equal(settings!.className, 'Msvm_VirtualSystemSettingData');
    const notNull = Object.entries(settings!.properties).filter(([, value]) => value !== null);
    assert.deepEqual(Object.fromEntries(notNull), sentSettings.properties);
  });
});

test('an answer larger than the host sends is a fault of its own, and smaller ones still come', async () => {
  await withLab(async (session) => {
    const fill = (Count: number): Promise<{ Values: readonly bigint[] }> =>
      session.invoke(Service, SERVICE_KEYS, 'Fill', { Count });
    await assert.rejects(fill(20_000), { code: 'WINRM_ENVELOPE_TOO_LARGE' });
    assert.equal((await fill(5_000)).Values.length, 5_000);
  });
});

for (const faultDetail of ['WSManFault', 'MSFT_WmiError'] as const) {
  test(`WMI errors keep their meaning in the form ${faultDetail}`, async () => {
    const run = async (session: WinrmSession): Promise<void> => {
      const fail = (Status: number): Promise<unknown> =>
        session.invoke(Service, SERVICE_KEYS, 'Fail', { Status });
      await assert.rejects(fail(0x80041003), { code: 'WINRM_ACCESS_DENIED' });
      await assert.rejects(fail(0x8004102f), { code: 'WINRM_PARAMETER_INVALID' });
      const missing = { CreationClassName: 'Msvm_ComputerSystem', Name: 'nobody' };
      await assert.rejects(session.get(ComputerSystem, missing), { code: 'WINRM_NOT_FOUND' });
      const unknown = session.query(ComputerSystem, 'SELECT * FROM Msvm_Nothing');
      await assert.rejects(Array.fromAsync(unknown), { code: 'WINRM_BAD_FILTER' });
    };
    await withLab(run, { traits: { faultDetail } });
  });
}

test('a wrong password is refused', async () => {
  const wire = await startWire({ provider: new FixtureProvider(), users: [ACCOUNT] });
  const credentials = { user: 'LAB\\backup', password: 'wrong' };
  await assert.rejects(openWinrm({ url: wire.url, credentials }), { code: 'WINRM_AUTHENTICATION_FAILED' });
  await wire.close();
});

const invokeCounted = (session: WinrmSession): Promise<unknown> =>
  session.invoke(Service, SERVICE_KEYS, 'Echo', { Text: 'once' });

for (const kind of ['drop-before', 'drop-after', 'truncate'] as const) {
  test(`a method disturbed by ${kind} runs once at most and its effect is unknown; a read gets through`, async () => {
    const faults = [
      { action: 'Echo', kind },
      { action: 'Get', kind },
    ];
    const run = async (session: WinrmSession, provider: FixtureProvider): Promise<void> => {
      await assert.rejects(invokeCounted(session), { code: 'WINRM_EFFECT_UNKNOWN' });
      assert.ok(provider.calls.length <= 1);
      const keys = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };
      if (kind !== 'truncate') assert.equal((await session.get(ComputerSystem, keys)).ElementName, 'web 01');
    };
    await withLab(run, { faults });
  });
}

test('a log-on the host forgot costs a read a new one, and an enumeration goes on where it was', async () => {
  const faults = [
    { action: 'Get', kind: 'expire' },
    { action: 'Enumerate', kind: 'expire' },
    { action: 'Pull', kind: 'expire' },
  ] as const;
  const run = async (session: WinrmSession): Promise<void> => {
    const keys = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };
    assert.equal((await session.get(ComputerSystem, keys)).ElementName, 'web 01');
    assert.equal((await Array.fromAsync(session.enumerate(ComputerSystem))).length, 3);
  };
  await withLab(run, { faults: [...faults], traits: { maxElementsCap: 1 } });
});

for (const [kind, ran] of Object.entries({ expire: 0, 'expire-after': 1 } as const)) {
  test(`a 401 to a method is told to the caller, who must look: the method ran ${ran} times (${kind})`, async () => {
    const run = async (session: WinrmSession, provider: FixtureProvider): Promise<void> => {
      await assert.rejects(invokeCounted(session), { code: 'WINRM_SESSION_EXPIRED', kind: 'retry' });
      assert.equal(provider.calls.length, ran);
      await invokeCounted(session);
      assert.equal(provider.calls.length, ran + 1, 'the next call logs on anew');
    };
    await withLab(run, { faults: [{ action: 'Echo', kind: kind as 'expire' | 'expire-after' }] });
  });
}

test('a byte changed on the way is noticed', async () => {
  const run = async (session: WinrmSession): Promise<void> => {
    const keys = { CreationClassName: 'Msvm_ComputerSystem', Name: VM_ID };
    await assert.rejects(session.get(ComputerSystem, keys), { code: 'WINRM_TAMPERED' });
    assert.equal((await session.get(ComputerSystem, keys)).ElementName, 'web 01');
  };
  await withLab(run, { faults: [{ action: 'Get', kind: 'corrupt' }] });
});
