/**
 * A channel that passes a connection on, in the shape of a TCP socket, for those who want one: an HTTP agent calls
 * `setKeepAlive` and looks at `bytesWritten`. What concerns TCP does nothing here; the SSH connection below has it.
 */
import { Duplex } from 'node:stream';

export class TunnelSocket extends Duplex {
  readonly #channel: Duplex;
  #bytesWritten = 0;
  #ended = false;

  constructor(channel: Duplex) {
    super({ allowHalfOpen: false });
    this.#channel = channel;
    // An error of an idle socket would otherwise end the process. Who uses the socket learns of its close.
    this.on('error', () => undefined);
    channel.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) channel.pause();
    });
    channel.on('end', () => {
      this.#ended = true;
      this.push(null);
    });
    channel.on('error', (error) => this.destroy(error));
    // After its end the channel closes too, while what it brought may still wait to be read.
    channel.on('close', () => {
      if (!this.#ended) this.destroy();
    });
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
