/** Opening a fixed or dynamic VHD to be written in place. */
import { LocalFile, type CallOptions, type RangeWriter } from '../disk/index.ts';
import { BlockTable } from './block-table.ts';
import { DynamicFile } from './dynamic-file.ts';
import { vhdFaults } from './faults.ts';
import { readStructure } from './structure.ts';
import { WritableFile } from './writable-file.ts';

export type VhdFile = RangeWriter;

/**
 * Opens a local file to write. Nothing else may write it, and no child may stand on it: a child cannot tell that its parent
 * was changed. Faults: any of `VHD_`; `VHD_DIFFERENCING_READ_ONLY`.
 */
export async function openVhdWritable(path: string): Promise<VhdFile> {
  const file = await LocalFile.open(path);
  try {
    return await writableOver(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** `file` belongs to what is returned from then on. */
export async function writableOver(file: LocalFile): Promise<VhdFile> {
  const structure = await readStructure(file, file.path);
  if (structure.parent) throw vhdFaults.differencingReadOnly({ path: file.path });
  const { layout } = structure;
  if (!layout) return new FixedFile(file, structure.footer.size);
  const table = await BlockTable.open(structure, layout, {});
  return new DynamicFile(file, structure.footer, layout, table);
}

class FixedFile extends WritableFile {
  protected override writeRange(offset: number, bytes: Uint8Array): Promise<void> {
    return this.file.write(offset, bytes);
  }

  protected override zeroRange(offset: number, length: number, options: CallOptions): Promise<void> {
    return this.file.zero(offset, length, options);
  }

  protected override flushTables(): Promise<void> {
    return this.file.sync();
  }
}
