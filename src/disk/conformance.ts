/**
 * The suite every `RangeReader` must pass. A driver's test calls it with a way to open a file of given content.
 *
 *   rangeReaderConformance('fs', async (content) => { ... return reader });
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { hasCode } from '../base/index.ts';
import type { RangeReader } from './ports.ts';

export type OpenContent = (content: Uint8Array) => Promise<RangeReader>;

export function rangeReaderConformance(driver: string, open: OpenContent): void {
  const content = randomBytes(300_007);
  const expectBytes = (got: Uint8Array, offset: number): void =>
    assert.ok(Buffer.from(got).equals(content.subarray(offset, offset + got.length)), `bytes at ${offset}`);

  test(`${driver}: reads any range exactly, at the start, at the end, unaligned`, async () => {
    const reader = await open(content);
    assert.equal(reader.size, content.length);
    for (const [offset, length] of [
      [0, 1],
      [0, 4096],
      [511, 2],
      [65_535, 65_538],
      [content.length - 1, 1],
      [content.length - 70_000, 70_000],
    ] as const) {
      const into = new Uint8Array(length);
      await reader.read(offset, into);
      expectBytes(into, offset);
    }
    await reader.close();
  });

  test(`${driver}: a read of nothing succeeds, also at the end`, async () => {
    const reader = await open(content);
    await reader.read(0, new Uint8Array(0));
    await reader.read(content.length, new Uint8Array(0));
    await reader.close();
  });

  test(`${driver}: refuses a range beyond the end, whole or in part, and negative offsets`, async () => {
    const reader = await open(content);
    for (const [offset, length] of [
      [content.length, 1],
      [content.length - 1, 2],
      [content.length + 10_000_000, 4],
      [-1, 1],
    ] as const) {
      await assert.rejects(reader.read(offset, new Uint8Array(length)), (e) =>
        hasCode(e, 'DISK_OUT_OF_RANGE'),
      );
    }
    await reader.close();
  });

  test(`${driver}: many reads at once do not disturb each other`, async () => {
    const reader = await open(content);
    await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const offset = (i * 7919 * 31) % (content.length - 9000);
        const into = new Uint8Array(9000);
        await reader.read(offset, into);
        expectBytes(into, offset);
      }),
    );
    await reader.close();
  });

  test(`${driver}: reading after close is refused, closing twice is not`, async () => {
    const reader = await open(content);
    await reader.close();
    await reader.close();
    await assert.rejects(reader.read(0, new Uint8Array(1)), (e) => hasCode(e, 'DISK_CLOSED'));
  });

  test(`${driver}: an aborted signal stops a read`, async () => {
    const reader = await open(content);
    await assert.rejects(
      reader.read(0, new Uint8Array(1000), { signal: AbortSignal.abort(new Error('stop')) }),
      /stop/,
    );
    await reader.close();
  });
}
