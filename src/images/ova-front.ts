/**
 * What stands before the disks of an OVA: the envelope and the manifest. Its length depends on names and numbers of disks
 * only, never on what they hold, so that room for it can be left before they are compressed. The envelope is filled up with
 * line ends for that, which XML allows behind the last element.
 */
import { createHash } from 'node:crypto';
import { ovfEnvelope, type OvfDisk, type OvfMachine } from './ovf.ts';
import { memberBytes, tarHeader, TAR_BLOCK } from './tar.ts';

/** A disk of the package, compressed. */
export interface DiskFile {
  /** Bytes. */
  readonly size: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

type Capacity = Pick<OvfDisk, 'capacity' | 'bus'>;

export class OvaFront {
  /** Bytes. */
  readonly length: number;
  readonly #machine: OvfMachine;
  readonly #disks: readonly Capacity[];
  readonly #modified: number;
  readonly #baseName: string;
  readonly #envelopeBytes: number;

  constructor(machine: OvfMachine, disks: readonly Capacity[], modified: Date) {
    this.#machine = machine;
    this.#disks = disks;
    this.#modified = Math.max(0, Math.floor(modified.getTime() / 1000));
    this.#baseName = baseNameOf(machine.name);
    const largest = disks.map(() => ({ size: Number.MAX_SAFE_INTEGER, sha256: '0'.repeat(64) }));
    const envelope = this.#envelope(largest);
    this.#envelopeBytes = envelope.length;
    this.length = memberBytes(envelope.length) + memberBytes(this.#manifest(envelope, largest).length);
  }

  diskName(index: number): string {
    return `${this.#baseName}-disk${index + 1}.vmdk`;
  }

  diskHeader(index: number, size: number): Uint8Array {
    return tarHeader({ name: this.diskName(index), size, modified: this.#modified });
  }

  /** The two members, `length` bytes in all. */
  bytes(files: readonly DiskFile[]): Uint8Array {
    const envelope = Buffer.alloc(this.#envelopeBytes, '\n');
    this.#envelope(files).copy(envelope);
    const manifest = this.#manifest(envelope, files);
    const bytes = new Uint8Array(this.length);
    this.#putMember(bytes, 0, 'ovf', envelope);
    this.#putMember(bytes, memberBytes(envelope.length), 'mf', manifest);
    return bytes;
  }

  #putMember(bytes: Uint8Array, at: number, extension: string, content: Uint8Array): void {
    const name = `${this.#baseName}.${extension}`;
    bytes.set(tarHeader({ name, size: content.length, modified: this.#modified }), at);
    bytes.set(content, at + TAR_BLOCK);
  }

  #envelope(files: readonly DiskFile[]): Buffer {
    const disks = this.#disks.map((disk, i) => ({
      ...disk,
      fileName: this.diskName(i),
      fileSize: files[i]!.size,
    }));
    return Buffer.from(ovfEnvelope(this.#machine, disks));
  }

  #manifest(envelope: Uint8Array, files: readonly DiskFile[]): Buffer {
    const digest = createHash('sha256').update(envelope).digest('hex');
    const lines = [
      `SHA256(${this.#baseName}.ovf)= ${digest}`,
      ...files.map(({ sha256 }, i) => `SHA256(${this.diskName(i)})= ${sha256}`),
    ];
    return Buffer.from(`${lines.join('\n')}\n`);
  }
}

/** Names in a tar header are short, and importers differ about letters that are not ASCII: the envelope has the real name. */
function baseNameOf(machineName: string): string {
  const name = machineName.replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^[._-]+/, '');
  return name.slice(0, 60) || 'vm';
}
