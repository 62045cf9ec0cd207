/**
 * Hostile files: VHDX and VHD, alone and in chains, with every structure changed field by field, sealed again or not, and what
 * detects formats. Each change knows what it may do to the disk (`expectation.ts`): the file is refused with a fault of its own
 * code, or every byte outside of what was touched is as before, and inside as the change says. What a trial reads and asks
 * memory for is bounded by the size of the files. How to see a failure again: `mutation-run.ts`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMutations } from './mutation-run.ts';

/** Always the same, so that a failure is of the change that is tested; `npm run test:long` draws others each time. */
const MUTATIONS = { count: 52_000, seed: 20_261_123 };

/** Each must come up in a subject that can have it, or the mutations do not test what they claim to. */
const MET = [
  ...[
    'as said',
    'VHDX_NO_VALID_HEADER',
    'VHDX_LOG_PLACE',
    'VHDX_NO_VALID_REGION_TABLE',
    'VHDX_REGIONS_OVERLAP',
  ]
    .concat([
      'VHDX_ITEMS_OVERLAP',
      'VHDX_BAT_STATE',
      'VHDX_BLOCK_OVERLAP',
      'VHDX_BLOCK_PLACE',
      'VHDX_TRUNCATED',
    ])
    .map((outcome) => `dynamic.vhdx: ${outcome}`),
  ...['as said', 'VHDX_NO_VALID_LOG_ENTRIES', 'VHDX_FILE_SHORTER_THAN_LOG', 'VHDX_LOG_TARGET'].map(
    (outcome) => `log: ${outcome}`,
  ),
  ...['as said', 'VHDX_BITMAP_MISSING', 'VHDX_LOCATOR_MALFORMED', 'VHDX_PARENT_MISSING'].map(
    (outcome) => `child, 512: ${outcome}`,
  ),
  ...['as said', 'VHDX_SECTOR_SIZES_DIFFER', 'VHDX_PARENT_MISMATCH'].map(
    (outcome) => `parent, 4096: ${outcome}`,
  ),
  ...['as said', 'VHD_FOOTER_CHECKSUM', 'VHD_HEADER_CHECKSUM', 'VHD_BLOCK_PLACE', 'VHD_BLOCK_OVERLAP'].map(
    (outcome) => `VHD, dynamic: ${outcome}`,
  ),
  ...['as said', 'VHD_LOCATOR_PLACE', 'VHD_PARENT_MISSING', 'VHD_PARENT_MISMATCH'].map(
    (outcome) => `VHD, child: ${outcome}`,
  ),
  ...[
    'as said',
    'VIRTUALDISK_OTHER_FORMAT',
    'VIRTUALDISK_NOT_A_DISK',
    'VHDX_TRUNCATED',
    'VHD_FOOTER_CHECKSUM',
  ].map((outcome) => `raw bytes in disk.img: ${outcome}`),
];

test('no change of a disk file shows other bytes than it can explain, crashes a reader or makes it work for ever', async (t) => {
  const { outcomes } = await checkMutations(t, MUTATIONS);
  if (process.env['HVLIFT_SEED'] || process.env['HVLIFT_MUTATIONS']) return; // chosen: not everything comes up
  assert.deepEqual(
    MET.filter((outcome) => !outcomes[outcome]),
    [],
    'what never came up',
  );
});
