/**
 * Answers to damage: every envelope of a full backup and an increment of a VM of the lab, as it came out of the sealing, and
 * those that were recorded from real hosts where the recordings are at hand.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KiB, MiB } from '../../src/base/index.ts';
import { createHyperVSource } from '../../src/capture/index.ts';
import { backupVm } from '../../src/flows/index.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';
import { createHyperV } from '../../src/hyperv/index.ts';
import { NtlmSeal } from '../../src/ntlm/index.ts';
import { createMemoryStore } from '../../src/objectstore/index.ts';
import { createRepository } from '../../src/repository/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import { INSTANT, LabHost } from '../../lab/model/index.ts';
import { scratch } from '../../lab/model/scratch.fixture.ts';
import { startWire } from '../../lab/wire/index.ts';
import { recordingsFolder } from '../requires.ts';

const ACCOUNT = { user: 'Administrator', password: 'Passw0rd of a test' };
/** Longer ones are pages of what shorter ones show, and take as much longer to damage and parse. */
const ENVELOPE_BYTES_MAX = 8 * KiB;

/** Each different answer once: a hundred answers to the same question are one. */
export async function recordedEnvelopes(): Promise<string[]> {
  const all = [...(await envelopesOfBackups()), ...envelopesOfRealHosts()];
  const byShape = new Map(all.map((xml) => [xml.replace(/>[^<]+</g, '><'), xml]));
  return Array.from(byShape.values()).filter((xml) => xml.length <= ENVELOPE_BYTES_MAX);
}

function envelopesOfRealHosts(): string[] {
  const cwd = recordingsFolder();
  if (!cwd) return [];
  return globSync('**/*.xml', { cwd })
    .filter((name) => !name.includes('.request.'))
    .sort()
    .map((name) => readFileSync(join(cwd, name), 'utf8').replace(/^<!--[^]*?-->\n/, ''));
}

async function envelopesOfBackups(): Promise<string[]> {
  const heard: string[] = [];
  const ours = Object.getOwnPropertyDescriptor(NtlmSeal.prototype, 'unseal') as { value: NtlmSeal['unseal'] };
  NtlmSeal.prototype.unseal = function listening(message) {
    const plain = ours.value.call(this, message);
    if (plain) heard.push(Buffer.from(plain).toString());
    return plain;
  };
  try {
    await backUpTwice();
  } finally {
    NtlmSeal.prototype.unseal = ours.value;
  }
  return heard;
}

async function backUpTwice(): Promise<void> {
  await using temporary = await scratch();
  const lab = await LabHost.open(temporary.folder, { settings: INSTANT });
  const wire = await startWire({ provider: lab.provider, users: [ACCOUNT] });
  const session = await openWinrm({ url: wire.url, credentials: ACCOUNT, pageSize: 2 });
  try {
    const hyperv = createHyperV(session, { pollMs: 5 });
    const files = createFsHostFiles({ mappings: [{ from: 'C:\\', to: join(lab.volumesFolder, 'C') }] });
    const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
    const { repository } = await createRepository(createMemoryStore(), {
      encryption: { passphrase: 'of this test' },
    });
    const { id } = await lab.createVm({ name: 'web01', disks: [{ size: 8 * MiB }, { size: 9 * MiB }] });
    for (const seed of [1, 2]) {
      await lab.guestWrite(id, { offset: seed * MiB, length: 640 * KiB, seed });
      await backupVm({ source, repository, resolveVm: (name) => hyperv.vm(name) }, { vm: 'web01' });
    }
    await session.close();
  } finally {
    await wire.close();
    await lab.close();
  }
}
