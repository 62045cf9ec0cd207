/** `hvlift lab guest`: what happens inside a VM. */
import type { Command } from '@commander-js/extra-typings';
import { bytes, connected, folderOption, wholeNumber } from './session.ts';

export function registerGuest(program: Command): void {
  const guest = program.command('guest').summary('write to the disks of a running VM, as its guest would');
  guest
    .command('write')
    .summary('write random bytes at one place')
    .argument('<vm>')
    .argument('<offset>')
    .argument('<length>')
    .option('--disk <id>', 'VirtualDiskId; default: the first disk')
    .option('--seed <number>', 'another seed, other bytes', wholeNumber, 1)
    .option('--cached', 'leave it in the guest cache, which only a VSS freeze flushes', false)
    .addOption(folderOption)
    .action(async (vm, offset, length, options) =>
      (await connected(options)).guestWrite(vm, {
        offset: bytes(offset),
        length: bytes(length),
        seed: options.seed,
        cached: options.cached,
        ...(options.disk === undefined ? {} : { diskId: options.disk }),
      }),
    );
  guest
    .command('trim')
    .summary('discard a range: it reads as zeros')
    .argument('<vm>')
    .argument('<offset>')
    .argument('<length>')
    .option('--disk <id>', 'VirtualDiskId; default: the first disk')
    .addOption(folderOption)
    .action(async (vm, offset, length, options) =>
      (await connected(options)).guestTrim(vm, {
        offset: bytes(offset),
        length: bytes(length),
        ...(options.disk === undefined ? {} : { diskId: options.disk }),
      }),
    );
  guest
    .command('run')
    .summary('make a number of scattered writes, as fast as they go')
    .argument('<vm>')
    .argument('<writes>', 'how many', wholeNumber)
    .option('--size <bytes>', 'of one write', bytes, 65536)
    .option('--seed <number>', 'another seed, other places', wholeNumber, 1)
    .option('--trims <share>', 'share of them that are trims', Number, 0)
    .addOption(folderOption)
    .action(async (vm, writes, options) =>
      (await connected(options)).guestRun(vm, {
        writes,
        seed: options.seed,
        writeBytes: options.size,
        trims: options.trims,
      }),
    );
  registerWriter(guest);
}

function registerWriter(guest: Pick<Command, 'command'>): void {
  guest
    .command('start-writer')
    .summary('write in the background until stopped, while backups run')
    .argument('<vm>')
    .option('--rate <number>', 'writes a second', wholeNumber, 50)
    .option('--size <bytes>', 'of one write', bytes, 65536)
    .option('--seed <number>', 'another seed, other places', wholeNumber, 1)
    .addOption(folderOption)
    .action(async (vm, options) =>
      (await connected(options)).startWriter(vm, {
        seed: options.seed,
        writesPerSecond: options.rate,
        writeBytes: options.size,
      }),
    );
  guest
    .command('stop-writer')
    .argument('<vm>')
    .addOption(folderOption)
    .action(async (vm, options) => (await connected(options)).stopWriter(vm));
}
