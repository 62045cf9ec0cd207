import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { selectedDisks, type DiskSelection } from './disk-selection.ts';

const DISKS = [
  { number: 1, diskId: '0d9a4e57-8f1c-4b34-a6b2-6f0a0c5b7e01', files: ['C:\\VMs\\system.vhdx'] },
  { number: 2, diskId: 'aaaa4e57', files: ['C:\\VMs\\data_1F.avhdx', 'D:\\Data.VHDX'] },
  { number: 3, files: ['2:Physical'] },
];
const select = (selection: DiskSelection): number[] =>
  [...selectedDisks('web', DISKS, selection)].sort((a, b) => a - b);

test('disks are meant by number, id and any file of their chain, and left out wins', () => {
  assert.deepEqual(select({}), [1, 2, 3]);
  assert.deepEqual(select({ only: ['1', 'data'] }), [1, 2]);
  assert.deepEqual(select({ skip: ['data_1f.avhdx'] }), [1, 3]);
  assert.deepEqual(select({ skip: ['0D9A4E57-8F1C-4B34-A6B2-6F0A0C5B7E01', '3'] }), [2]);
  assert.deepEqual(select({ only: ['system.vhdx', 'data.vhdx'], skip: ['2'] }), [1]);
});

test('a name that means no disk is refused, with those there are', () => {
  for (const name of ['4', 'dat', 'vhdx']) {
    assert.throws(
      () => select({ skip: [name] }),
      (error) =>
        hasCode(error, 'CAPTURE_NO_SUCH_DISK') && error.message.includes('1: system.vhdx, 2: data.vhdx'),
    );
  }
});
