/** Every program in examples/ runs as its first comment says, and does what it says. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MiB, TiB } from '../../src/base/index.ts';
import { requires } from '../requires.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'hvlift-examples-'));
after(() => rmSync(folder, { recursive: true }));

const ran = new Set<string>();

/** stdout of an example, run in a folder of its own. */
function run(name: string, ...argv: readonly string[]): Buffer {
  ran.add(name);
  const program = join(root, 'examples', name);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-C', 'source', program, ...argv], {
    cwd: folder,
    maxBuffer: 64 * MiB,
  });
  assert.equal(status, 0, `${name}: ${String(stderr)}`);
  return stdout;
}

/** A disk of 5 MiB that the examples read. */
const content = Buffer.alloc(5 * MiB);
content.write('something', 3 * MiB + 512);

test('a chain is made, and its ranges are those that were written', () => {
  run('make-vhdx.ts', 'base.vhdx', 'child.avhdx');
  const lines = run('allocated-ranges.ts', 'child.avhdx').toString().trim().split('\n');
  // Of the base whole blocks, of the child sectors.
  assert.deepEqual(lines, [`0 ${32 * MiB}`, `${TiB} 512`, `vhdx: ${32 * MiB + 512} of ${2 * TiB} bytes`]);
});

test(
  'a VHDX becomes a raw image, and any disk a VMDK on stdout, the same to QEMU',
  requires(['qemu-img'], 'that what the examples write is read elsewhere'),
  () => {
    writeFileSync(join(folder, 'disk.raw'), content);
    const qemu = (...argv: readonly string[]): void => {
      const { status, stderr } = spawnSync('qemu-img', argv, { cwd: folder });
      assert.equal(status, 0, String(stderr));
    };
    qemu('convert', '-f', 'raw', '-O', 'vhdx', 'disk.raw', 'disk.vhdx');
    const said = run('vhdx-to-raw.ts', 'disk.vhdx', 'back.raw').toString();
    assert.match(said, /^1 files, 5242880 bytes, \d+ of them written$/m);
    assert.equal(Buffer.compare(readFileSync(join(folder, 'back.raw')), content), 0);
    writeFileSync(join(folder, 'disk.vmdk'), run('vmdk-to-stdout.ts', 'disk.vhdx'));
    qemu('compare', '-f', 'vmdk', '-F', 'raw', 'disk.vmdk', 'disk.raw');
  },
);

test('no example is left out', requires(['qemu-img'], 'that every example was run'), () => {
  assert.deepEqual(readdirSync(join(root, 'examples')).sort(), [...ran].sort());
});
