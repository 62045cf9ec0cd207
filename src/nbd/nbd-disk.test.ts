import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../base/index.ts';
import { rangeReaderConformance } from '../disk/conformance.ts';
import { MemoryDisk, type Disk } from '../disk/index.ts';
import { NbdDisk } from './nbd-disk.ts';
import { NbdServer } from './server.ts';
import { addressOf, randomDisk, Served } from './served.fixture.ts';

const servers: Served[] = [];
rangeReaderConformance('nbd', async (content) => {
  const disk = new MemoryDisk(content.length);
  await disk.write(0, content);
  const served = await Served.start({ disk });
  servers.push(served);
  return NbdDisk.open(served.address);
});
test('nbd: the servers of the suite end', async () => {
  for (const served of servers) await served[Symbol.asyncDispose]();
  assert.ok(servers.length > 3);
});

const SIZE = 300_000;
const ranges = fc
  .tuple(fc.nat({ max: SIZE }), fc.nat({ max: SIZE }))
  .map(([a, b]) => ({ offset: Math.min(a, b), length: Math.abs(a - b) }));
const step = fc.oneof(
  fc.record({ what: fc.constant('write'), at: ranges, fill: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ what: fc.constant('zero'), at: ranges, fill: fc.constant(0) }),
  fc.record({ what: fc.constant('read'), at: ranges, fill: fc.constant(0) }),
);

test('any reads, writes and zeros leave what the same would have left on a disk of our own', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const [behind, model] = [new MemoryDisk(SIZE), new MemoryDisk(SIZE)];
      await using served = await Served.start({ disk: behind, writer: behind });
      const nbd = await NbdDisk.open(served.address);
      for (const { what, at, fill } of steps) {
        const bytes = new Uint8Array(at.length).fill(fill);
        if (what === 'zero') await Promise.all([nbd, model].map((disk) => disk.zero(at.offset, at.length)));
        else if (what === 'write')
          await Promise.all([nbd, model].map((disk) => disk.write(at.offset, bytes)));
        else assert.deepEqual(await contentOf(nbd, at), await contentOf(model, at));
      }
      await nbd.flush();
      assert.deepEqual(await contentOf(nbd), await contentOf(model));
      assert.deepEqual(await contentOf(behind), await contentOf(model));
      await checkAllocation(nbd, model);
      await nbd.close();
    }),
    { numRuns: 60 },
  );
});

async function contentOf(disk: Disk, at = { offset: 0, length: disk.size }): Promise<Buffer> {
  const bytes = Buffer.alloc(at.length, 0xee);
  await disk.read(at.offset, bytes);
  return bytes;
}

async function checkAllocation(disk: Disk, model: Disk): Promise<void> {
  const bytes = await contentOf(model);
  for await (const { offset, length } of disk.allocated()) bytes.fill(0, offset, offset + length);
  assert.ok(bytes.equals(Buffer.alloc(bytes.length)), 'what is not told as data is zeros');
}

test('64 TiB are asked for their data without touching the rest, and zeroed in pieces', async () => {
  const behind = new MemoryDisk(64 * 2 ** 40);
  await behind.write(63 * 2 ** 40, Buffer.from('far out'));
  await using served = await Served.start({ disk: behind, writer: behind });
  const nbd = await NbdDisk.open(served.address);
  assert.deepEqual(await Array.fromAsync(nbd.allocated({ offset: 62 * 2 ** 40, length: 2 * 2 ** 40 })), [
    { offset: 63 * 2 ** 40, length: 65_536 },
  ]);
  const bytes = Buffer.alloc(7);
  await nbd.read(63 * 2 ** 40, bytes);
  assert.equal(bytes.toString(), 'far out');
  await nbd.zero(62 * 2 ** 40, 3 * 2 ** 30);
  await nbd.zero(63 * 2 ** 40, 65_536);
  assert.deepEqual(await Array.fromAsync(nbd.allocated()), []);
  await nbd.close();
});

test('a read-only export says so before anything is sent', async () => {
  await using served = await Served.start({ disk: await randomDisk(4096) });
  const nbd = await NbdDisk.open(served.address);
  assert.equal(nbd.readOnly, true);
  for (const change of [nbd.write(0, Buffer.alloc(1)), nbd.zero(0, 1), nbd.flush()])
    await assert.rejects(change, (error) => hasCode(error, 'NBD_READ_ONLY'));
  await nbd.close();
});

test('exports are found by name; one that is not there is told with the reason of the server', async () => {
  const [a, b] = [await randomDisk(5000), await randomDisk(70_000)];
  const exports = new Map([
    ['disk 0', { disk: a }],
    ['Platte/ß', { disk: b, description: 'the second' }],
  ]);
  await using served = await Served.start({ disk: a }, { exports });
  for (const [name, { disk }] of exports) {
    const nbd = await NbdDisk.open(addressOf(served.place, encodeURIComponent(name)));
    assert.deepEqual(await contentOf(nbd), await contentOf(disk));
    await nbd.close();
  }
  await assert.rejects(
    NbdDisk.open(addressOf(served.place, 'other')),
    (error) => hasCode(error, 'NBD_EXPORT_REFUSED') && error.message.includes('no export "other"'),
  );
});

test('a disk that fails behind the server is told by its number, and the next request works', async () => {
  const behind = await randomDisk(100_000);
  let fails = true;
  const disk: Disk = Object.assign(Object.create(behind) as MemoryDisk, {
    read: (offset: number, into: Uint8Array) =>
      fails ? Promise.reject(new Error('bad sector')) : behind.read(offset, into),
    size: behind.size,
    allocated: () => behind.allocated(),
  });
  await using served = await Served.start({ disk });
  const nbd = await NbdDisk.open(served.address);
  await assert.rejects(nbd.read(0, Buffer.alloc(10)), (error) => hasCode(error, 'NBD_IO_FAILED'));
  assert.match(String(served.errors[0]), /bad sector/);
  fails = false;
  assert.deepEqual(await contentOf(nbd), await contentOf(behind));
  await nbd.close();
});

test('a request that is cancelled ends at once, its buffer is left alone, and the next one works', async () => {
  const behind = await randomDisk(100_000);
  const slow: Disk = Object.assign(Object.create(behind) as MemoryDisk, {
    size: behind.size,
    read: async (offset: number, into: Uint8Array) => {
      if (offset === 0) await held.promise;
      return behind.read(offset, into);
    },
  });
  const held = Promise.withResolvers<void>();
  await using served = await Served.start({ disk: slow });
  const nbd = await NbdDisk.open(served.address);
  const stop = new AbortController();
  const into = Buffer.alloc(512, 0xaa);
  const reading = nbd.read(0, into, { signal: stop.signal });
  setImmediate(() => stop.abort(new Error('enough')));
  await assert.rejects(reading, /enough/);
  held.resolve();
  const at = { offset: 1024, length: 512 };
  assert.deepEqual(await contentOf(nbd, at), await contentOf(behind, at));
  assert.ok(into.equals(Buffer.alloc(512, 0xaa)));
  await nbd.close();
});

test('a server that comes back is read on; writes it may have lost are told at the next flush, once', async () => {
  const behind = new MemoryDisk(SIZE);
  const first = await Served.start({ disk: behind, writer: behind });
  const place = first.place;
  const nbd = await NbdDisk.open(first.address, { connections: 2 });
  await nbd.write(0, Buffer.from('durable'));
  await nbd.flush();
  await nbd.write(100, Buffer.from('answered'));
  await first.server.close();
  await using second = await NbdServer.listen(place, {
    exports: new Map([['', { disk: behind, writer: behind }]]),
  });
  await nbd.write(200, Buffer.from('after'));
  assert.equal(second.clients > 0, true);
  await assert.rejects(
    nbd.flush(),
    (error) => hasCode(error, 'NBD_WRITES_UNCERTAIN') && error.details['count'] === 1,
  );
  await nbd.write(100, Buffer.from('answered'));
  await nbd.flush();
  await nbd.close();
  await first[Symbol.asyncDispose]();
});

test('a server that comes back with another disk is refused', async () => {
  const first = await Served.start({ disk: await randomDisk(8192) });
  const nbd = await NbdDisk.open(first.address);
  await first.server.close();
  await using _second = await NbdServer.listen(first.place, {
    exports: new Map([['', { disk: await randomDisk(4096) }]]),
  });
  await assert.rejects(nbd.read(0, Buffer.alloc(1)), (error) => hasCode(error, 'NBD_EXPORT_CHANGED'));
  await nbd.close();
  await first[Symbol.asyncDispose]();
});

test('a server that stays away ends the request after the time it is given', async () => {
  const served = await Served.start({ disk: await randomDisk(8192) });
  const nbd = await NbdDisk.open(served.address, { reconnectMs: 50 });
  await served[Symbol.asyncDispose]();
  await assert.rejects(nbd.read(0, Buffer.alloc(1)), (error) =>
    hasCode(error, 'NBD_UNREACHABLE', 'NBD_CONNECTION_LOST'),
  );
  await nbd.close();
});

test('many requests at once, on several connections, each get their own bytes', async () => {
  const behind = await randomDisk(8 * 2 ** 20);
  await using served = await Served.start({ disk: behind });
  const nbd = await NbdDisk.open(served.address);
  const reads = Array.from({ length: 400 }, async (_, index) => {
    const offset = (index * 7919 * 512) % (behind.size - 70_000);
    const at = { offset, length: 512 * (1 + (index % 130)) };
    assert.deepEqual(await contentOf(nbd, at), await contentOf(behind, at));
  });
  await Promise.all(reads);
  assert.equal(served.server.clients, 4);
  await nbd.close();
});

test('content survives a message boundary everywhere: writes larger than one message', async () => {
  const behind = new MemoryDisk(5 * 2 ** 20 + 123);
  await using served = await Served.start({ disk: behind, writer: behind });
  const nbd = await NbdDisk.open(served.address);
  const bytes = randomBytes(behind.size);
  await nbd.write(0, bytes);
  await nbd.flush();
  assert.deepEqual(await contentOf(behind), bytes);
  await nbd.close();
});
