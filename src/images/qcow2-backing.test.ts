/** qcow2 images over another image: what is placed hides it, what is not shows it. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, KiB, MiB } from '../base/index.ts';
import { requires } from '../../test/requires.ts';
import { assertQemuReads, diskOf, qemuImg, rawFile, Scratch } from './judges.fixture.ts';
import { createQcow2Image } from './qcow2-image.ts';

const withQemu = requires(['qemu-img'], 'QEMU reads our qcow2 images over their backing files');
const CLUSTER = 64 * KiB;

test(
  'an increment on top of an older image reads as the newer disk, zeros over old data included',
  { ...withQemu },
  async () => {
    const change = fc.constantFrom('same' as const, 'data' as const, 'zeros' as const);
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 60 }),
        fc.nat(CLUSTER / 512 - 1),
        async (changes, cut) => {
          using scratch = new Scratch();
          const size = changes.length * CLUSTER - cut * 512;
          const base = await diskOf(size, [{ offset: 0, length: size, kind: 'text' }]);
          const backing = await rawFile(base, scratch.path('.raw'));
          const path = scratch.path('.qcow2');
          const image = await createQcow2Image(path, {
            size,
            backing: { path: basename(backing), format: 'raw' },
          });
          const file = await open(image.path, 'r+');
          for (const [i, kind] of changes.entries()) {
            const offset = i * CLUSTER;
            const length = Math.min(CLUSTER, size - offset);
            if (kind === 'zeros') await image.zero(offset, length);
            if (kind !== 'data') continue;
            const bytes = Buffer.alloc(length, `new ${i}`);
            for (const span of await image.place(offset, length))
              await file.write(bytes, 0, span.length, span.fileOffset);
            await base.write(offset, bytes);
          }
          for (const [i, kind] of changes.entries()) {
            if (kind === 'zeros') await base.zero(i * CLUSTER, Math.min(CLUSTER, size - i * CLUSTER));
          }
          await file.close();
          await image.finish();
          assertQemuReads('qcow2', path, await rawFile(base, scratch.path('.raw')));
        },
      ),
      { numRuns: 15 },
    );
  },
);

test(
  'the image names its backing file and that file its format, so that QEMU never guesses',
  { ...withQemu },
  async () => {
    using scratch = new Scratch();
    const below = scratch.path('.qcow2');
    await (await createQcow2Image(below, { size: MiB })).finish();
    const above = scratch.path('.qcow2');
    await (
      await createQcow2Image(above, { size: 2 * MiB, backing: { path: basename(below), format: 'qcow2' } })
    ).finish();
    const info = JSON.parse(qemuImg('info', '--output=json', '-f', 'qcow2', above)) as Record<
      string,
      unknown
    >;
    assert.equal(info['backing-filename'], basename(below));
    assert.equal(info['backing-filename-format'], 'qcow2');
    rmSync(below);
    assert.match(qemuImg('info', '-f', 'qcow2', above), new RegExp(basename(below)), 'named, not opened');
  },
);

test('a name without room is refused before a file exists; a part of a cluster is a bug of the caller', async () => {
  using scratch = new Scratch();
  const create = (path: string, clusterSize = CLUSTER): Promise<unknown> =>
    createQcow2Image(scratch.path(), { size: MiB, clusterSize, backing: { path, format: 'raw' } });
  const refused = (error: unknown): boolean => hasCode(error, 'IMAGE_BACKING_REFUSED');
  await assert.rejects(create(''), refused);
  await assert.rejects(create('é'.repeat(512)), refused);
  await assert.rejects(create('x'.repeat(500), 512), refused);
  const image = await createQcow2Image(scratch.path(), {
    size: MiB,
    backing: { path: 'below', format: 'raw' },
  });
  assert.throws(() => image.place(0, 512), /whole clusters/);
  await image.abort();
});
