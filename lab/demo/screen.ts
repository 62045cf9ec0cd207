/** What the demo shows: a line before each stage that says what it is about, and tables of figures. */
import { formatBytes } from '../../src/base/index.ts';
import type { BackupRecord, RestoreRecord } from '../../src/flows/index.ts';

type BackedUpDisk = BackupRecord['disks'][number];
type RestoredDisk = RestoreRecord['disks'][number];

const INDENT = ' '.repeat(7);

export class Screen {
  readonly #print: (line: string) => void;
  readonly #started = performance.now();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  line(text: string): void {
    this.#print(text);
  }

  /** What comes now, with the seconds since the start in front; further lines stand below the first. */
  stage(first: string, ...more: string[]): void {
    this.#print('');
    this.#print(`${`${this.seconds.toFixed(0)} s`.padStart(5)}  ${first}`);
    for (const text of more) this.note(text);
  }

  note(text: string): void {
    this.#print(`${INDENT}${text}`);
  }

  backupHead(): void {
    const sizes = ['virtual', 'allocated', 'read', 'changed', 'new', 'stored'].map((name) =>
      name.padStart(10),
    );
    this.note(`disk    kind  ${sizes.join('')}   MB/s`);
  }

  backupRow(name: string, disk: BackedUpDisk): void {
    const { virtualBytes, allocatedBytes, readBytes, changedBytes, newBytes, storedBytes } = disk;
    const sizes = [virtualBytes, allocatedBytes, readBytes, changedBytes, newBytes, storedBytes];
    const columns = sizes.map((bytes) => formatBytes(bytes).padStart(10)).join('');
    this.note(`${name.padEnd(7)} ${disk.kind.padEnd(5)} ${columns}${speed(readBytes, disk.seconds)}`);
  }

  restoreHead(): void {
    this.note(`point  disk    format     virtual   written   MB/s  compared with the truth`);
  }

  restoreRow(point: number, name: string, disk: RestoredDisk, verdict: string): void {
    const sizes = [disk.virtualBytes, disk.writtenBytes].map((bytes) => formatBytes(bytes).padStart(10));
    const label = `${String(point).padStart(5)}  ${name.padEnd(7)} ${disk.format.padEnd(8)}`;
    this.note(`${label}${sizes.join('')}${speed(disk.writtenBytes, disk.seconds)}  ${verdict}`);
  }
}

function speed(bytes: number, seconds: number): string {
  return (bytes / 1e6 / seconds).toFixed(0).padStart(7);
}
