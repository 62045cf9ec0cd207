/**
 * Libraries of the operating system, called through koffi, which compiles nothing. They only make faster what works without
 * them: koffi is an optional dependency, and a system may lack the library (docs/decisions/0006).
 */
import { createRequire } from 'node:module';
import type { LibraryHandle } from 'koffi';

type Koffi = typeof import('koffi');

export interface SystemLibrary {
  readonly library: LibraryHandle;
  /** The `errno` of the last call that this thread made. */
  readonly errno: () => number;
}

export interface SystemLibraryOptions {
  /** Calls inside the library stay there, though this program has functions of the same names: RTLD_DEEPBIND. */
  readonly ownSymbols?: boolean;
}

/** The first of `files` that loads; `undefined` when none does, or koffi is not installed. */
export function openSystemLibrary(
  files: readonly string[],
  { ownSymbols = false }: SystemLibraryOptions = {},
): SystemLibrary | undefined {
  const koffi = loadKoffi();
  if (!koffi) return undefined;
  for (const file of files) {
    try {
      return { library: koffi.load(file, { deep: ownSymbols }), errno: () => koffi.errno() };
    } catch {
      // not on this system, or not of its kind: the next name
    }
  }
  return undefined;
}

/** Not by `import`: worker threads have to know before their first job. */
function loadKoffi(): Koffi | undefined {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch {
    return undefined;
  }
}
