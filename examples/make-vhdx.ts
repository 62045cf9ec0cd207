/**
 * A new dynamic VHDX with a few bytes in it, and a child of it, as a checkpoint makes one, with others.
 *
 *   node examples/make-vhdx.ts base.vhdx child.avhdx
 */
import { createDifferencingVhdx, createVhdx, openVhdxWritable } from 'hvlift/vhdx';

const [base, child] = process.argv.slice(2);
if (!base || !child) throw new Error('usage: make-vhdx.ts BASE.vhdx CHILD.avhdx');

const TiB = 1024 ** 4;
await createVhdx(base, { size: 2 * TiB, kind: 'dynamic' });
await writeText(base, 0, 'written to the base');

// From now on the base must not change: its child counts on what it holds.
await createDifferencingVhdx(child, { parentPath: base });
await writeText(child, TiB, 'written to the child');

async function writeText(path: string, offset: number, text: string): Promise<void> {
  const disk = await openVhdxWritable(path);
  try {
    const sector = Buffer.alloc(512);
    sector.write(text);
    await disk.write(offset, sector);
    await disk.flush(); // survives a power cut from here on
  } finally {
    await disk.close();
  }
}
