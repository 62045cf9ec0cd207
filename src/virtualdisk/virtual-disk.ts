/** A virtual disk by its path: VHDX, VHD and their chains, or raw. */
import { RawDisk, type RangeReader } from '../disk/index.ts';
import { openVhdChain, type VhdDisk } from '../vhd/index.ts';
import { openVhdxChain, type OpenChainOptions, type VhdxDisk } from '../vhdx/index.ts';
import { detectDiskFormat } from './disk-format.ts';

/** What is known of the disk beside its bytes depends on its format. A raw disk has no identity and no holes. */
export type VirtualDisk =
  | { readonly format: 'vhdx'; readonly disk: VhdxDisk }
  | { readonly format: 'vhd'; readonly disk: VhdDisk }
  | { readonly format: 'raw'; readonly disk: RawDisk };

/**
 * Opens the disk at `path` with all its parents, which are in its own format. Faults: those of {@link detectDiskFormat}, and
 * any of `VHDX_` or `VHD_`; what `open` throws passes through.
 */
export async function openVirtualDisk(path: string, options: OpenChainOptions): Promise<VirtualDisk> {
  options.signal?.throwIfAborted();
  const first = new FirstReader(path, await options.open(path), options);
  try {
    const format = await detectDiskFormat(first.reader, path, options);
    if (format === 'raw') return { format, disk: new RawDisk(first.reader) };
    const chainOptions = { ...options, open: (name: string) => first.open(name) };
    return format === 'vhdx'
      ? { format, disk: await openVhdxChain(path, chainOptions) }
      : { format, disk: await openVhdChain(path, chainOptions) };
  } catch (error) {
    await first.reader.close();
    throw error;
  }
}

/** The file that was opened to be looked at is the first that its chain asks for: it is not opened twice. */
class FirstReader {
  readonly reader: RangeReader;
  readonly #path: string;
  readonly #options: OpenChainOptions;
  #given = false;

  constructor(path: string, reader: RangeReader, options: OpenChainOptions) {
    this.#path = path;
    this.reader = reader;
    this.#options = options;
  }

  async open(path: string): Promise<RangeReader> {
    if (this.#given || path !== this.#path) return this.#options.open(path);
    this.#given = true;
    return this.reader;
  }
}
