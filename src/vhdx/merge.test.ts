import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { KiB, MiB, NIL_GUID, hasCode } from '../base/index.ts';
import { createDifferencingVhdx, createVhdx } from './create.ts';
import { mergeVhdx } from './merge.ts';
import { TABLES, assertSameBytes, contentOf, scratchFolder, withChain } from './scratch.fixture.ts';
import { openVhdxWritable } from './vhdx-file.ts';

const folder = scratchFolder();
const parent = join(folder, 'parent.vhdx');
const child = join(folder, 'child.avhdx');

/** A base of 4 MiB blocks under a child with whole, partial and zero blocks; the content of the chain. */
async function makePair(size = 16 * MiB): Promise<Buffer> {
  for (const path of [parent, child]) rmSync(path, { force: true });
  await createVhdx(parent, { size, kind: 'dynamic', blockSize: 4 * MiB });
  const below = await openVhdxWritable(parent);
  await below.write(MiB, Buffer.alloc(size / 2, 1));
  await below.close();
  await createDifferencingVhdx(child, { parentPath: parent });
  const above = await openVhdxWritable(child);
  await above.write(0, Buffer.alloc(2 * MiB, 2));
  await above.zero(2 * MiB, 2 * MiB);
  for (let at = 6 * MiB; at < 8 * MiB; at += 128 * KiB) await above.write(at, Buffer.alloc(512, 3));
  await above.zero(10 * MiB + 512, 1024);
  await above.write(size - 4 * MiB, Buffer.alloc(3 * MiB, 4));
  await above.close();
  return contentOf(child);
}

const guidOf = (path: string): Promise<string> =>
  withChain(path, async (disk) => disk.files[0]!.dataWriteGuid);

test('after a merge the parent holds the content under the identity the child was told, and the chain reads the same', async () => {
  const expected = await makePair();
  const before = await guidOf(parent);
  await mergeVhdx({ child, parent });
  assertSameBytes(await contentOf(parent), expected, 'parent');
  assertSameBytes(await contentOf(child), expected, 'child');
  const after = await guidOf(parent);
  assert.notEqual(after, before);
  const linkage2 = Buffer.from(`{${after}}`, 'utf16le');
  assert.ok(readFileSync(child).includes(linkage2), 'parent_linkage2 names the parent’s new identity');
});

/** A signal that is aborted at the nth time it is asked. */
function abortAt(count: number): AbortSignal {
  let asked = 0;
  const reason = new Error('stop');
  const check = (): void => {
    if ((asked += 1) >= count) throw reason;
  };
  return { throwIfAborted: check, aborted: false, reason } as AbortSignal;
}

test('a merge that is stopped at any point leaves the chain as it was, and merging again completes it', async () => {
  const expected = await makePair();
  let stops = 0;
  for (let count = 1; ; count += 1) {
    const done = await mergeVhdx({ child, parent, signal: abortAt(count) }).then(
      () => true,
      (error: Error) => {
        assert.equal(error.message, 'stop');
        return false;
      },
    );
    assertSameBytes(await contentOf(child), expected, `stopped at ${count}`);
    if (done) break;
    stops += 1;
  }
  assert.ok(stops > 10, 'the signal was asked at many points');
  assertSameBytes(await contentOf(parent), expected, 'parent');
});

test('a process killed while merging leaves the chain as it was, and merging again completes it', async () => {
  const expected = await makePair(64 * MiB);
  const module = pathToFileURL(join(import.meta.dirname, 'merge.ts')).href;
  const script = `import { mergeVhdx } from ${JSON.stringify(module)}; console.log('go');
    for (;;) await mergeVhdx(${JSON.stringify({ child, parent })});`;
  for (const delay of [1, 20, 60]) {
    const process_ = spawn(process.execPath, ['-C', 'source', '--input-type=module', '-e', script]);
    await new Promise((resolve) => process_.stdout.once('data', resolve));
    setTimeout(() => process_.kill('SIGKILL'), delay);
    await new Promise((resolve) => process_.once('exit', resolve));
    assertSameBytes(await contentOf(child), expected, `killed after ${delay} ms`);
  }
  await mergeVhdx({ child, parent });
  assertSameBytes(await contentOf(parent), expected, 'parent');
});

test('a child is merged into a parent that is a child itself: its zeros still hide what is below both', async () => {
  const expected = await makePair();
  const top = join(folder, 'top.avhdx');
  await createDifferencingVhdx(top, { parentPath: child, blockSize: MiB });
  const file = await openVhdxWritable(top);
  await file.zero(0, 16 * MiB);
  await file.write(MiB, Buffer.alloc(512, 9));
  await file.close();
  await mergeVhdx({ child: top, parent: child });
  assertSameBytes(await contentOf(child), Buffer.alloc(16 * MiB).fill(9, MiB, MiB + 512), 'middle');
  assert.notDeepEqual(await contentOf(parent), expected);
  rmSync(top);
});

test('a stranger, a base and a parent of another size are refused, and nothing is written', async () => {
  await makePair();
  const other = join(folder, 'other.vhdx');
  rmSync(other, { force: true });
  await createVhdx(other, { size: 16 * MiB, kind: 'dynamic' });
  const refused = async (pair: { child: string; parent: string }, code: string): Promise<void> => {
    const before = [pair.child, pair.parent].map((path) => readFileSync(path));
    await assert.rejects(mergeVhdx(pair), (e) => hasCode(e, code));
    assert.ok(before[0]!.equals(readFileSync(pair.child)) && before[1]!.equals(readFileSync(pair.parent)));
  };
  await refused({ child, parent: other }, 'VHDX_PARENT_MISMATCH');
  await refused({ child: other, parent }, 'VHDX_PARENT_MISMATCH');
  const file = readFileSync(parent);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(16 * MiB));
  file.writeBigUInt64LE(BigInt(15 * MiB), file.indexOf(size, TABLES.metadata));
  writeFileSync(parent, file);
  await refused({ child, parent }, 'VHDX_MERGE_SIZES');
});

test('a child whose locator has no second identity is refused', async () => {
  await makePair();
  const file = readFileSync(child);
  const key = Buffer.from('parent_linkage2', 'utf16le');
  Buffer.from('parent_linkageX', 'utf16le').copy(file, file.indexOf(key));
  writeFileSync(child, file);
  await assert.rejects(mergeVhdx({ child, parent }), (e) => hasCode(e, 'VHDX_LINKAGE_MISSING'));
});

test('a new child carries the keys of Windows: both identities in braces, paths with backslashes', async () => {
  await makePair();
  const { dataWriteGuid } = await withChain(parent, async (disk) => disk.files[0]!);
  const copy = join(folder, 'copy.avhdx');
  rmSync(copy, { force: true });
  await createDifferencingVhdx(copy, { parentPath: parent, absolutePath: 'C:\\VMs\\parent.vhdx' });
  const file = readFileSync(copy);
  for (const text of [`{${dataWriteGuid}}`, `{${NIL_GUID}}`, '.\\parent.vhdx', 'C:\\VMs\\parent.vhdx']) {
    assert.ok(file.includes(Buffer.from(text, 'utf16le')), text);
  }
});
