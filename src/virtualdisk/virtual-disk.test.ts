import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB, hasCode } from '../base/index.ts';
import { FileReader, type RangeReader } from '../disk/index.ts';
import { createVhd, openVhdWritable } from '../vhd/index.ts';
import { createDifferencingVhdx, createVhdx } from '../vhdx/index.ts';
import { openVirtualDisk, type VirtualDisk } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvlift-virtualdisk-'));
after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);

/** Opens, and counts the readers that are open. */
function opener(): { open: (path: string) => Promise<RangeReader>; opened: string[]; readonly left: number } {
  const readers: { closed: boolean }[] = [];
  const opened: string[] = [];
  return {
    opened,
    async open(path) {
      const inner = await FileReader.open(path);
      const state = { closed: false };
      readers.push(state);
      opened.push(path);
      return {
        size: inner.size,
        read: (offset, into, options) => inner.read(offset, into, options),
        close: () => {
          state.closed = true;
          return inner.close();
        },
      };
    },
    get left() {
      return readers.filter(({ closed }) => !closed).length;
    },
  };
}

/** Opens for the time of `use`, and checks that nothing is left open. */
async function opened<T>(path: string, use: (found: VirtualDisk) => T | Promise<T>): Promise<T> {
  const files = opener();
  const found = await openVirtualDisk(path, files);
  try {
    return await use(found);
  } finally {
    await found.disk.close();
    assert.equal(files.left, 0, 'readers left open');
  }
}

async function refused(path: string, code: string): Promise<void> {
  const files = opener();
  await assert.rejects(openVirtualDisk(path, files), (e) => hasCode(e, code));
  assert.equal(files.left, 0, 'readers left open');
}

test('what a file holds decides its format, whatever it is called', async () => {
  await createVhdx(at('one'), { size: 3 * MiB, kind: 'dynamic' });
  await createVhd(at('two'), { size: 3 * MiB, kind: 'dynamic' });
  await createVhd(at('three'), { size: 3 * MiB, kind: 'fixed' });
  writeFileSync(at('four'), Buffer.alloc(3 * MiB, 'boot code'));
  const formats = { one: 'vhdx', two: 'vhd', three: 'vhd', four: 'raw' } as const;
  for (const [name, format] of Object.entries(formats)) {
    for (const extension of ['.img', '.vhd', '.vhdx', '.avhd', '']) {
      if (format === 'raw' && extension.includes('vhd')) continue;
      copyFileSync(at(name), at(`named${extension}`));
      await opened(at(`named${extension}`), (found) => {
        assert.equal(found.format, format, `${name}${extension}`);
        assert.equal(found.disk.size, 3 * MiB);
      });
    }
  }
});

test('a raw disk reads as it is, a VHD as its content', async () => {
  const file = await openVhdWritable(at('two'));
  await file.write(MiB, Buffer.alloc(512, 7));
  await file.close();
  for (const [name, offset, byte] of [
    ['two', MiB, 7],
    ['four', 0, 'b'.charCodeAt(0)],
  ] as const) {
    const got = Buffer.alloc(512);
    await opened(at(name), ({ disk }) => disk.read(offset, got));
    assert.equal(got[0], byte);
  }
});

test('a chain is opened with its parents, and its first file once', async () => {
  await createVhdx(at('base.vhdx'), { size: 3 * MiB, kind: 'dynamic' });
  await createDifferencingVhdx(at('leaf.avhdx'), { parentPath: at('base.vhdx') });
  const files = opener();
  const found = await openVirtualDisk(at('leaf.avhdx'), files);
  assert.equal(found.format === 'vhdx' && found.disk.files.length, 2);
  assert.deepEqual(files.opened, [at('leaf.avhdx'), at('base.vhdx')]);
  await found.disk.close();
  assert.equal(files.left, 0);
});

test('a file that is called as a virtual disk and is none is never taken for a raw one', async () => {
  for (const name of ['zeros.vhdx', 'zeros.AVHDX', 'C:\\zeros.avhdx']) {
    writeFileSync(at(name), Buffer.alloc(4 * MiB));
    await refused(at(name), 'VHDX_NOT_VHDX');
  }
  for (const name of ['zeros.vhd', 'zeros.avhd']) {
    writeFileSync(at(name), Buffer.alloc(4 * MiB));
    await refused(at(name), 'VHD_NOT_VHD');
  }
  copyFileSync(at('three'), at('cut.vhd'));
  truncateSync(at('cut.vhd'), 2 * MiB);
  await refused(at('cut.vhd'), 'VHD_NOT_VHD');
});

test('a VHD whose footer is damaged is a damaged VHD, not a raw disk', async () => {
  copyFileSync(at('three'), at('damaged'));
  const bytes = Buffer.alloc(512, 'conectix and then nothing of use');
  writeFileSync(at('damaged'), Buffer.concat([Buffer.alloc(MiB), bytes]));
  await refused(at('damaged'), 'VHD_FOOTER_CHECKSUM');
});

test('a VHD set is refused by its name, whatever is in it', async () => {
  copyFileSync(at('one'), at('shared.vhds'));
  await refused(at('shared.vhds'), 'VIRTUALDISK_VHD_SET');
});

test('images of other makers are named, not read as raw disks; half sectors and nothing are no disk', async () => {
  const starts = {
    qcow2: 'QFI\u00fb',
    VMDK: '# Disk DescriptorFile\nversion=1',
    VDI: '<<< Oracle VM VirtualBox Disk Image >>>',
  };
  for (const [format, start] of Object.entries(starts)) {
    writeFileSync(at('other'), Buffer.concat([Buffer.from(start, 'latin1')], 4096));
    await assert.rejects(openVirtualDisk(at('other'), opener()), (e) => {
      assert.ok(hasCode(e, 'VIRTUALDISK_OTHER_FORMAT'));
      return e.message.includes(format);
    });
  }
  for (const size of [0, 1, 1000]) {
    writeFileSync(at('odd'), Buffer.alloc(size));
    await refused(at('odd'), 'VIRTUALDISK_NOT_A_DISK');
  }
});

test('a parent that is missing closes what was opened, and an abort opens nothing', async () => {
  rmSync(at('base.vhdx'));
  await refused(at('leaf.avhdx'), 'VHDX_PARENT_MISSING');
  const files = opener();
  const signal = AbortSignal.abort(new Error('stop'));
  await assert.rejects(openVirtualDisk(at('one'), { ...files, signal }), /stop/);
  assert.deepEqual(files.opened, []);
});
