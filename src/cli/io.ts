/** What the program touches of its process. The tests bring their own. */
import type { Interrupts } from './interrupts.ts';

export type InputStream = NodeJS.ReadableStream & {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  /** Lets the process end though the stream is open. */
  unref?(): unknown;
};

export type OutputStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  /** Cells of a line of the terminal. */
  readonly columns?: number;
  readonly rows?: number;
};

export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly interrupts: Interrupts;
  readonly platform: NodeJS.Platform;
  readonly homeFolder: string;
  readonly workingFolder: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}
