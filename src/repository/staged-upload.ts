/**
 * Small pieces of an upload, gathered: a sparse increment of a huge disk makes thousands of map pages of a few hundred
 * bytes, and a write of its own for each would take longer than everything else.
 */
import { KiB } from '../base/index.ts';
import type { ObjectUpload } from '../objectstore/index.ts';

const STAGE_BYTES = 64 * KiB;

export class StagedUpload {
  readonly upload: ObjectUpload;
  #stage: Buffer | undefined;
  #staged = 0;

  constructor(upload: ObjectUpload) {
    this.upload = upload;
  }

  /** Bytes appended so far, staged ones included. */
  get size(): number {
    return this.upload.size + this.#staged;
  }

  /** `bytes` may be reused once it resolves. */
  async append(bytes: Uint8Array): Promise<void> {
    if (this.#staged + bytes.length > STAGE_BYTES) await this.flush();
    if (bytes.length > STAGE_BYTES) {
      await this.upload.append(bytes);
      return;
    }
    this.#stage ??= Buffer.allocUnsafeSlow(STAGE_BYTES);
    this.#stage.set(bytes, this.#staged);
    this.#staged += bytes.length;
  }

  /** Hands on what is staged: before a commit nothing may be left. */
  async flush(): Promise<void> {
    if (this.#staged === 0) return;
    await this.upload.append(this.#stage!.subarray(0, this.#staged));
    this.#staged = 0;
  }
}
