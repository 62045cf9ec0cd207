/** Answers to "what changed": whatever a host says, the ranges that come out are sorted and inside the disk, or the baseline is lost. */
import assert from 'node:assert/strict';
import { KiB, MiB } from '../../src/base/index.ts';
import { changedExtents } from '../../src/hyperv/changed-extents.ts';
import { Msvm_ImageManagementService as service } from '../../src/hyperv/classes/image-service.ts';
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
    let questions = 0;
    const ask = (input: { ByteOffset: bigint; ByteLength: bigint }): unknown => {
      assert.ok((questions += 1) < QUESTIONS_MAX, 'the questions do not end');
      return decodeOutput(service, METHOD, answerTo(input, random, questions < 3 && random.chance(0.6)));
    };
    const session = { invoke: async (...call: unknown[]) => ask(call[3] as never) };
    const query = { path: 'C:\\a.vhdx', rctId: 'rct', size: SIZE };
    const outcome = await outcomeIn(async () => {
      let end = -1;
      for await (const { offset, length } of changedExtents({ session } as unknown as Host, query)) {
        assert.ok(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && length > 0);
        assert.ok(offset > end, 'sorted, apart from each other');
        end = offset + length;
        assert.ok(end <= SIZE, 'inside the disk');
      }
    });
    return outcome === 'read' && questions > 2 ? 'asked again' : outcome;
  },
};

function answerTo(
  { ByteOffset, ByteLength }: { ByteOffset: bigint; ByteLength: bigint },
  random: Random,
  hostile: boolean,
): XmlElement {
  const count = random.below(4);
  const offsets = Array.from({ length: count }, () => ByteOffset + BigInt(random.below(Number(ByteLength))));
  const lengths = offsets.map(() => BigInt(64 * KiB * random.below(4)));
  const processed = hostile && random.chance(0.4) ? BigInt(random.below(Number(ByteLength) + 2)) : ByteLength;
  const number = (value: bigint): string =>
    hostile && random.chance(0.15) ? hostileText(random) : String(value);
  const xml =
    `<p:${METHOD}_OUTPUT xmlns:p="p" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">` +
    offsets.map((offset) => `<p:ChangedByteOffsets>${number(offset)}</p:ChangedByteOffsets>`).join('') +
    lengths.map((length) => `<p:ChangedByteLengths>${number(length)}</p:ChangedByteLengths>`).join('') +
    `<p:ProcessedByteLength>${number(processed)}</p:ProcessedByteLength><p:ReturnValue>0</p:ReturnValue></p:${METHOD}_OUTPUT>`;
  return parseXml(hostile && random.chance(0.3) ? damagedXml(xml, random).toString() : xml);
}
