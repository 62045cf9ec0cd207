/**
 * A VHDX, or an AVHDX with all its parents, as a raw image.
 *
 *   node examples/vhdx-to-raw.ts web01.avhdx web01.raw
 */
import { copyDisk } from 'hvlift/copy';
import { FileReader } from 'hvlift/disk';
import { createRawImage } from 'hvlift/images';
import { openVhdxChain } from 'hvlift/vhdx';

const [source, target] = process.argv.slice(2);
if (!source || !target) throw new Error('usage: vhdx-to-raw.ts IN.vhdx OUT.raw');

const disk = await openVhdxChain(source, { open: (path) => FileReader.open(path) });
try {
  const image = await createRawImage(target, { size: disk.size });
  try {
    const { writtenBytes } = await copyDisk({ source: disk, target: image });
    await image.finish(); // from here on it has its name
    console.log(`${disk.files.length} files, ${disk.size} bytes, ${writtenBytes} of them written`);
  } catch (error) {
    await image.abort();
    throw error;
  }
} finally {
  await disk.close();
}
