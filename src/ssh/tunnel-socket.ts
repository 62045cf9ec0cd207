/**
 * A channel that passes a connection on, in the shape of a TCP socket, for those who want one: an HTTP agent calls
 * `setKeepAlive` and looks at `bytesWritten`. What concerns TCP does nothing here; the SSH connection below has it.
 */
import { Duplex } from 'node:stream';

export class TunnelSocket extends Duplex {
  readonly #channel: Duplex;
  #bytesWritten = 0;

  constructor(channel: Duplex) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    channel.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) channel.pause();
    });
    channel.on('end', () => this.push(null));
    channel.on('error', (error) => this.destroy(error));
    channel.on('close', () => this.destroy());
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#bytesWritten += bytes.length;
    this.#channel.write(bytes, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#channel.destroy();
    done(error);
  }
}
