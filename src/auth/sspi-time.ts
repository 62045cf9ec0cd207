/** When keys end, as Windows says it: a FILETIME of the local clock, 100 ns since 1601. */

const UNITS_PER_MS = 10_000n;
/** Milliseconds from 1601 to 1970. */
const EPOCH_MS = 11_644_473_600_000n;
/** Whoever writes a later year than 3000 means "never". */
const LATEST_MS = 32_503_680_000_000n;

/**
 * Milliseconds since 1970, in universal time. A time that is over at the very log-on is none: some packages fill in nothing,
 * and a clock read in the wrong zone must not make every connection unusable. What really ends keys is the package, which
 * then refuses to seal.
 */
export function expiryOf(fileTime: bigint, nowMs: number): number {
  const wallMs = fileTime / UNITS_PER_MS - EPOCH_MS;
  if (wallMs <= 0n || wallMs > LATEST_MS) return Infinity;
  const wall = new Date(Number(wallMs));
  const local = new Date(
    wall.getUTCFullYear(),
    wall.getUTCMonth(),
    wall.getUTCDate(),
    wall.getUTCHours(),
    wall.getUTCMinutes(),
    wall.getUTCSeconds(),
    wall.getUTCMilliseconds(),
  ).getTime();
  return local > nowMs ? local : Infinity;
}
