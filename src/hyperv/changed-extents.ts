/**
 * Which bytes of a disk changed since an id was sealed, as one sorted stream.
 *
 *   window by window ──► GetVirtualDiskChanges ──► check ──► sort, merge, clip to what was processed ──► extents
 *
 * The host promises little: ranges in any order, overlapping, of any length, and an answer that covers less than was asked
 * for. What it may never do is under-report, so every answer is either understood completely or the baseline is lost: then
 * the caller reads the whole disk. An answer is never repaired by guessing.
 */
import { hasCode, isFault, MiB } from '../base/index.ts';
import type { CallOptions } from '../disk/index.ts';
import { coalesce, endOf, intersect, normalise, type Extent } from '../extents/index.ts';
import type { MethodOutput } from '../winrm/index.ts';
import { Msvm_ImageManagementService } from './classes/image-service.ts';
import { hypervFaults } from './faults.ts';
import { serviceKeys, type Host } from './host.ts';
import { QueryWindow } from './query-window.ts';
import { JOB_STARTED, SUCCEEDED } from './return-codes.ts';

export interface ChangeQuery {
  /** The frozen file, local to the host that is asked. */
  readonly path: string;
  readonly rctId: string;
  /** Bytes of the virtual disk. */
  readonly size: number;
}

type Answer = MethodOutput<typeof Msvm_ImageManagementService, 'GetVirtualDiskChanges'>;

/** Why the answers cannot be used; carried as the reason of `HYPERV_BASELINE_LOST`. */
class Unusable extends Error {}

// A host that answers byte by byte must not keep us for ever. A 64 TiB disk that changed everywhere takes 120,000
// questions at 587 MiB each; a small disk whose host returns one range at a time takes one for each range.
const QUESTIONS_MIN = 65_536;
const BYTES_PER_QUESTION = 16 * MiB;

/**
 * Sorted, merged, not overlapping, inside the disk. Asks only as far as the consumer reads.
 *
 * Throws `HYPERV_BASELINE_LOST` for every answer that cannot be used. A host that cannot be reached, or refuses the
 * account, is no lost baseline: those faults pass through.
 */
export async function* changedExtents(
  host: Host,
  query: ChangeQuery,
  options: CallOptions = {},
): AsyncGenerator<Extent> {
  try {
    yield* coalesce(rangesByWindow(host, query, options));
  } catch (error) {
    options.signal?.throwIfAborted();
    if (isAboutTheConnection(error)) throw error;
    const { path, rctId } = query;
    const reason = error instanceof Error ? error.message : String(error);
    throw hypervFaults.baselineLost({ path, rctId, reason }, { cause: error });
  }
}

async function* rangesByWindow(host: Host, query: ChangeQuery, options: CallOptions): AsyncGenerator<Extent> {
  const window = new QueryWindow(query.size);
  let questions = QUESTIONS_MIN + Math.ceil(query.size / BYTES_PER_QUESTION);
  for (let at = 0; at < query.size;) {
    options.signal?.throwIfAborted();
    if ((questions -= 1) < 0) throw new Unusable(`the host advances too slowly, byte ${at} of ${query.size}`);
    const asked = { offset: at, length: Math.min(window.bytes, query.size - at) };
    const answer = await ask(host, query, asked, options).catch((error: unknown) => {
      if (isTooMuchAtOnce(error) && window.halve()) return undefined;
      throw error;
    });
    if (!answer) continue;
    const processed = processedPart(asked, answer);
    yield* rangesIn(processed, asked, answer, query.size);
    window.fitted();
    at = endOf(processed);
  }
}

async function ask(host: Host, query: ChangeQuery, asked: Extent, options: CallOptions): Promise<Answer> {
  const service = Msvm_ImageManagementService;
  const input = {
    Path: query.path,
    LimitId: query.rctId,
    ByteOffset: BigInt(asked.offset),
    ByteLength: BigInt(asked.length),
  };
  const answer = await host.session.invoke(
    service,
    serviceKeys(service),
    'GetVirtualDiskChanges',
    input,
    options,
  );
  if (answer.returnValue === SUCCEEDED) return answer;
  // Nobody has documented how to get the ranges from a job.
  if (answer.returnValue === JOB_STARTED)
    throw new Unusable('the host answered with a job instead of ranges');
  throw new Unusable(`the host answered with code ${answer.returnValue}`);
}

/** What the host says it looked at: some of what was asked, never nothing. */
function processedPart(asked: Extent, answer: Answer): Extent {
  const length = answer.ProcessedByteLength;
  if (length === null || length <= 0n)
    throw new Unusable(`the host makes no progress at byte ${asked.offset}`);
  if (length > BigInt(asked.length)) {
    throw new Unusable(`the host looked at ${length} bytes when asked for ${asked.length}`);
  }
  return { offset: asked.offset, length: Number(length) };
}

function rangesIn(processed: Extent, asked: Extent, answer: Answer, size: number): Extent[] {
  const { ChangedByteOffsets: offsets, ChangedByteLengths: lengths } = answer;
  if (offsets.length !== lengths.length) {
    throw new Unusable(`the host gave ${offsets.length} offsets and ${lengths.length} lengths`);
  }
  const set = normalise(offsets.flatMap((offset, index) => rangeOf(offset, lengths[index]!, size)));
  assertMeant(set, asked);
  return intersect(set, [processed]);
}

/** The range as numbers, without what lies behind the end of the disk. */
function rangeOf(offset: bigint, length: bigint, size: number): Extent[] {
  if (length === 0n || offset >= BigInt(size)) return [];
  const end = offset + length;
  const last = end > BigInt(size) ? size : Number(end);
  return [{ offset: Number(offset), length: last - Number(offset) }];
}

/**
 * Ranges may reach out of what was asked for: the host rounds to a grid of its own, and what lies outside is, or will be,
 * reported to the question it belongs to. But when none touches the question, offsets are not what we take them for
 * (relative to the question, say), and clipping would silently drop every change.
 */
function assertMeant(set: readonly Extent[], asked: Extent): void {
  const touching = set.some((e) => e.offset <= endOf(asked) && endOf(e) >= asked.offset);
  if (set.length > 0 && !touching) {
    throw new Unusable(
      `asked for bytes ${asked.offset} to ${endOf(asked)}, the host reports ${set.length} ranges elsewhere, the first at ${set[0]!.offset}`,
    );
  }
}

function isTooMuchAtOnce(error: unknown): boolean {
  return hasCode(error, 'WINRM_ENVELOPE_TOO_LARGE', 'WINRM_TIMED_OUT');
}

/** Faults of the way to the host, which a full backup would meet as well. */
function isAboutTheConnection(error: unknown): boolean {
  return (
    isFault(error) &&
    error.code.startsWith('WINRM_') &&
    !hasCode(
      error,
      'WINRM_NOT_FOUND',
      'WINRM_TIMED_OUT',
      'WINRM_ENVELOPE_TOO_LARGE',
      'WINRM_PROVIDER_FAILED',
      'WINRM_PARAMETER_INVALID',
      'WINRM_SCHEMA_INVALID',
      'WINRM_SELECTORS_INVALID',
      'WINRM_PROTOCOL_BROKEN',
    )
  );
}
