/**
 * zstd by the system's library. Node's own makes a context and a buffer for every call; with those kept, a megabyte costs a
 * sixth less to compress and a third less to decompress. Frames of the two are read by either.
 *
 * Node exports the functions of its own zstd, and a library loaded the usual way would call those, of another version, in
 * the middle of its work. It is therefore loaded so that it prefers its own (RTLD_DEEPBIND), which only glibc can do.
 * Contexts lie in memory of the thread that uses them and go with it (`ZSTD_initStatic…`).
 */
import type { LibraryHandle } from 'koffi';
import { openSystemLibrary } from './system-library.ts';

export interface SystemZstd {
  /** Bytes of the frame in `into`; undefined: it does not fit. */
  compress(raw: Uint8Array, into: Uint8Array): number | undefined;
  /** Bytes of the content in `into`; undefined: damaged, or more than fits. */
  decompress(frame: Uint8Array, into: Uint8Array): number | undefined;
}

type Native = (...values: readonly unknown[]) => unknown;

/** 1.4.0: from then on what is used here has not changed. */
const VERSION_MIN = 10_400;
/** Of the level that contexts are made for. */
const LEVEL = 1;

let found: SystemZstd | undefined | 'not looked for' = 'not looked for';

/** For the calling thread, at level 1; undefined where the system has none that can be used. */
export function systemZstd(): SystemZstd | undefined {
  if (found === 'not looked for') found = load();
  return found;
}

function load(): SystemZstd | undefined {
  if (process.platform !== 'linux' || !isGlibc()) return undefined;
  const library = openSystemLibrary(['libzstd.so.1'], { ownSymbols: true })?.library;
  try {
    return library && bind(library);
  } catch {
    return undefined; // built without these functions
  }
}

/** What the contexts lie in: without this, garbage. Both end with the thread. */
const memory: Buffer[] = [];

/** The libc of Alpine ignores RTLD_DEEPBIND. */
function isGlibc(): boolean {
  const musl = openSystemLibrary(['libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1']);
  return !musl && openSystemLibrary(['libc.so.6']) !== undefined;
}

function bind(library: LibraryHandle): SystemZstd | undefined {
  const named = (declaration: string): Native => library.func(declaration) as Native;
  if (Number(named('unsigned int ZSTD_versionNumber()')()) < VERSION_MIN) return undefined;
  const isError = named('unsigned int ZSTD_isError(size_t code)');
  const packing = Buffer.alloc(Number(named('size_t ZSTD_estimateCCtxSize(int level)')(LEVEL)));
  const unpacking = Buffer.alloc(Number(named('size_t ZSTD_estimateDCtxSize()')()));
  const packer = named('void *ZSTD_initStaticCCtx(void *memory, size_t size)')(packing, packing.length);
  const unpacker = named('void *ZSTD_initStaticDCtx(void *memory, size_t size)')(unpacking, unpacking.length);
  if (!packer || !unpacker) return undefined;
  memory.push(packing, unpacking);
  const pack = named(
    'size_t ZSTD_compressCCtx(void *context, void *into, size_t room, void *from, size_t length, int level)',
  );
  const unpack = named(
    'size_t ZSTD_decompressDCtx(void *context, void *into, size_t room, void *from, size_t length)',
  );
  const lengthOf = (result: unknown): number | undefined => (isError(result) ? undefined : Number(result));
  return {
    compress: (raw, into) => lengthOf(pack(packer, into, into.length, raw, raw.length, LEVEL)),
    decompress: (frame, into) => lengthOf(unpack(unpacker, into, into.length, frame, frame.length)),
  };
}
