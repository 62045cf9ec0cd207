export { batchesOf, type Batch, type BatchOptions, type BatchRange, type BatchRead } from './batch.ts';
export { bufferBytesMax, copyDisk, type CopyRequest, type CopyStats } from './copy-disk.ts';
export { fillFromDisk, fillFromFiles } from './fill-buffer.ts';
export { readBatches, type FilledBatch, type ReadOptions } from './read-batches.ts';
export { SharedBuffers } from './shared-buffers.ts';
