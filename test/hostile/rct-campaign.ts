/** Answers to "what changed": whatever a host says, the ranges that come out are sorted and inside the disk, or the baseline is lost. */
import assert from 'node:assert/strict';
import { KiB, MiB } from '../../src/base/index.ts';
import { changedExtents } from '../../src/hyperv/changed-extents.ts';
import { Msvm_ImageManagementService as service } from '../../src/hyperv/classes/image-service.ts';
import type { Extent } from '../../src/extents/index.ts';
import type { Host } from '../../src/hyperv/host.ts';
import { decodeOutput, parseXml, type XmlElement } from '../../src/winrm/index.ts';
import type { Random } from '../../lab/model/random.ts';
import { outcomeIn, type Attack, type Campaign } from './campaign.ts';
import { damagedXml, hostileText, XML_BYTES_MAX } from './xml-damage.ts';

const SIZE = 8 * MiB;
const METHOD = 'GetVirtualDiskChanges';
/** A host that answers so often and says so little is given up long before. */
const QUESTIONS_MAX = 100_000;

export const rctCampaign: Campaign = {
  name: 'RCT answers',
  allocationBytesMax: XML_BYTES_MAX,
  meets: ['read', 'HYPERV_BASELINE_LOST', 'asked again'],
  start: (): Attack => async (random) => {
    const host = new FalseHost(random);
    const query = { path: 'C:\\a.vhdx', rctId: 'rct', size: SIZE };
    const extents: Extent[] = [];
    const outcome = await outcomeIn(async () => {
      for await (const extent of changedExtents({ session: host } as unknown as Host, query))
        extents.push(extent);
    });
    if (outcome !== 'read') return outcome;
    assert.ok(!host.overshot, 'a host that looked at more than it was asked about was believed');
    assert.deepEqual(extents, host.told(), 'what the host told, no more and no less');
    return host.questions > 2 ? 'asked again' : 'read';
  },
};

class FalseHost {
  readonly #random: Random;
  /** Every byte it called changed, of what it said it had looked at. */
  readonly #told: Extent[] = [];
  questions = 0;
  /** It said that it had looked at more than it was asked about. */
  overshot = false;

  constructor(random: Random) {
    this.#random = random;
  }

  async invoke(
    ...[, , , input]: [unknown, unknown, unknown, { ByteOffset: bigint; ByteLength: bigint }]
  ): Promise<unknown> {
    assert.ok((this.questions += 1) < QUESTIONS_MAX, 'the questions do not end');
    const answer = answerTo(input, this.#random, this.questions < 3 && this.#random.chance(0.6));
    const output = decodeOutput(service, METHOD, answer);
    const processed = output.ProcessedByteLength ?? 0n;
    const end = input.ByteOffset + processed;
    this.overshot ||= processed > input.ByteLength;
    output.ChangedByteOffsets.forEach((offset, index) => {
      const last = offset + (output.ChangedByteLengths[index] ?? 0n);
      this.#tell(offset < input.ByteOffset ? input.ByteOffset : offset, last < end ? last : end);
    });
    return output;
  }

  #tell(from: bigint, to: bigint): void {
    const end = to > BigInt(SIZE) ? BigInt(SIZE) : to;
    if (from < end) this.#told.push({ offset: Number(from), length: Number(end - from) });
  }

  /** Sorted and merged, in a way of its own. */
  told(): Extent[] {
    const merged: Extent[] = [];
    for (const { offset, length } of this.#told.toSorted((x, y) => x.offset - y.offset)) {
      const last = merged.at(-1);
      const lastEnd = last ? last.offset + last.length : -1;
      if (last && offset <= lastEnd)
        merged[merged.length - 1] = {
          offset: last.offset,
          length: Math.max(lastEnd, offset + length) - last.offset,
        };
      else merged.push({ offset, length });
    }
    return merged;
  }
}

function answerTo(
  { ByteOffset, ByteLength }: { ByteOffset: bigint; ByteLength: bigint },
  random: Random,
  hostile: boolean,
): XmlElement {
  const count = random.below(4);
  const offsets = Array.from({ length: count }, () => ByteOffset + BigInt(random.below(Number(ByteLength))));
  const lengths = offsets.map(() => BigInt(64 * KiB * random.below(4)));
  const processed =
    hostile && random.chance(0.4)
      ? [BigInt(random.below(Number(ByteLength))), ByteLength + 1n, ByteLength * 3n][random.below(3)]!
      : ByteLength;
  const number = (value: bigint): string =>
    hostile && random.chance(0.15) ? hostileText(random) : String(value);
  const xml =
    `<p:${METHOD}_OUTPUT xmlns:p="p" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
    offsets.map((offset) => `<p:ChangedByteOffsets>${number(offset)}</p:ChangedByteOffsets>`).join('') +
    lengths.map((length) => `<p:ChangedByteLengths>${number(length)}</p:ChangedByteLengths>`).join('') +
    `<p:ProcessedByteLength>${number(processed)}</p:ProcessedByteLength><p:ReturnValue>0</p:ReturnValue></p:${METHOD}_OUTPUT>`;
  return parseXml(hostile && random.chance(0.3) ? damagedXml(xml, random).toString() : xml);
}
