/**
 * Where a disk of any format that is read may hold something other than zeros; no data is read for it.
 *
 *   node examples/allocated-ranges.ts web01.vhdx
 */
import { FileReader } from 'hvlift/disk';
import { openVirtualDisk } from 'hvlift/virtualdisk';

const [path] = process.argv.slice(2);
if (!path) throw new Error('usage: allocated-ranges.ts FILE');

const { format, disk } = await openVirtualDisk(path, { open: (name) => FileReader.open(name) });
try {
  let bytes = 0;
  for await (const { offset, length } of disk.allocated()) {
    console.log(`${offset} ${length}`);
    bytes += length;
  }
  console.log(`${format}: ${bytes} of ${disk.size} bytes`);
} finally {
  await disk.close();
}
