/** A disk of random content behind a server of ours, on a unix socket in a folder of its own. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDisk } from '../disk/index.ts';
import type { NbdPlace } from './address.ts';
import { NbdServer, type NbdServerOptions, type ServedDisk } from './server.ts';

export class Served implements AsyncDisposable {
  readonly #folder: string;
  readonly server: NbdServer;
  /** What the server told of. */
  readonly errors: readonly unknown[];

  private constructor(folder: string, server: NbdServer, errors: readonly unknown[]) {
    this.#folder = folder;
    this.server = server;
    this.errors = errors;
  }

  static async start(served: ServedDisk, options: Partial<NbdServerOptions> = {}): Promise<Served> {
    const folder = await mkdtemp(join(tmpdir(), 'hvlift-nbd-'));
    const errors: unknown[] = [];
    const server = await NbdServer.listen(
      { kind: 'unix', path: join(folder, 'socket') },
      { exports: new Map([['', served]]), onError: (error) => errors.push(error), ...options },
    );
    return new Served(folder, server, errors);
  }

  get place(): NbdPlace {
    return this.server.place;
  }

  get address(): string {
    return addressOf(this.place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    await rm(this.#folder, { recursive: true });
  }
}

export function addressOf(place: NbdPlace, exportName = '', scheme = 'nbd'): string {
  if (place.kind === 'tcp') return `${scheme}://${place.host}:${place.port}/${exportName}`;
  return `${scheme}+unix:///${exportName}?socket=${place.path}`;
}

export async function randomDisk(size: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk(size);
  for (let at = 0; at < size; at += 4 * 65_536) {
    await disk.write(at, randomBytes(Math.min(65_536, size - at)));
  }
  return disk;
}
