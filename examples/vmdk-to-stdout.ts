/**
 * A disk of any format that is read as a streamOptimized VMDK on stdout, for an upload that never was a file.
 *
 *   node examples/vmdk-to-stdout.ts web01.vhdx | curl --upload-file - https://…
 */
import { pipeline } from 'node:stream/promises';
import { FileReader } from 'hvlift/disk';
import { imageStream } from 'hvlift/images';
import { openVirtualDisk } from 'hvlift/virtualdisk';

const [path] = process.argv.slice(2);
if (!path) throw new Error('usage: vmdk-to-stdout.ts FILE > disk.vmdk');

const { disk } = await openVirtualDisk(path, { open: (name) => FileReader.open(name) });
try {
  await pipeline(imageStream('vmdk-stream', disk), process.stdout);
} finally {
  await disk.close();
}
