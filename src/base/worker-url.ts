/**
 * The address of a worker script beside the importing module, as source (`.ts`, run by Node's type stripping)
 * or as built (`.js`).
 *
 *   new Worker(workerUrl('./encode-worker', import.meta.url))
 */
export function workerUrl(name: string, importMetaUrl: string): URL {
  return new URL(name + (importMetaUrl.endsWith('.ts') ? '.ts' : '.js'), importMetaUrl);
}
