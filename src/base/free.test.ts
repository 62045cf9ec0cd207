import assert from 'node:assert/strict';
import { test } from 'node:test';
import { free } from './free.ts';

test('memory of its own is given back, however small', () => {
  for (const bytes of [1, 4096, 65_536, 1 << 20]) {
    const own = new Uint8Array(bytes);
    free(own);
    assert.equal(own.buffer.byteLength, 0, `${bytes} bytes`);
  }
});

test('a slab that Node shares between buffers stays', () => {
  const neighbours = [Buffer.from('left'), Buffer.from('middle'), Buffer.from('right')];
  free(neighbours[1]!);
  assert.deepEqual(neighbours.map(String), ['left', 'middle', 'right']);
});
