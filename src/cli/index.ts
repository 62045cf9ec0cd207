export type * from './engine.ts';
export { EXIT, type ExitCode } from './exit-code.ts';
export { Interrupts } from './interrupts.ts';
export type { CliIo } from './io.ts';
export { main } from './run.ts';
export { Secret } from './secret.ts';
