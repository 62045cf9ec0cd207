/** `hvlift lab start`, `status` and `stop`. */
import { once } from 'node:events';
import type { Command } from '@commander-js/extra-typings';
import { Option } from '@commander-js/extra-typings';
import { createLab, type Lab, type LabAddress } from '../control/index.ts';
import { INSTANT, type DiskSpec } from '../model/index.ts';
import { nodesOption } from './nodes.ts';
import { guestOption, withGuest } from './real-guest.ts';
import { bytes, connected, folderOption, print, wholeNumber } from './session.ts';

export function registerStart(program: Command): void {
  program
    .command('start')
    .summary('start the host and stay in the foreground')
    .description(
      'Starts the emulated host and prints one line of JSON when clients can reach it: its url, the user, and the ' +
        'files that hold the password and the control token. Ctrl-C stops it; its folder keeps everything.',
    )
    .addOption(folderOption)
    .option('--port <number>', 'port of WS-Management; default: a free one', wholeNumber)
    .option('--control-port <number>', 'port of the control API; default: a free one', wholeNumber)
    .addOption(nodesOption)
    .option('--host-name <name>', 'name of a new host', 'HV01')
    .option('--user <name>', 'the account clients use', 'labadmin')
    .addOption(
      new Option('--language <tag>', 'language of the host')
        .choices(['ja-JP', 'en-US'] as const)
        .default('ja-JP' as const),
    )
    .option(
      '--vm <NAME=DISK,...>',
      'a VM to create unless there is one of that name; a DISK is a size (8GiB) or a file (.vhdx, else raw); may be repeated',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .option(
      '--stop-with-stdin',
      'stop when standard input ends: a program that starts a lab leaves none behind',
      false,
    )
    .addOption(guestOption)
    .option('--instant', 'jobs and merges take no longer than their work', false)
    .action(async (options) => {
      await using lab = await createLab({
        folder: options.folder,
        hostName: options.hostName,
        user: options.user,
        ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
        ...(options.port === undefined ? {} : { port: options.port }),
        ...(options.controlPort === undefined ? {} : { controlPort: options.controlPort }),
        settings: { ...(options.instant ? INSTANT : {}), language: options.language },
      });
      await createVms(lab, options.vm, options.guest);
      print(JSON.stringify(addressOf(lab)));
      await Promise.race([lab.stopAsked, signalled(), ...(options.stopWithStdin ? [stdinEnded()] : [])]);
      process.stdin.destroy(); // a listener on it would keep the process alive
    });
  program
    .command('status')
    .summary('the VMs of the running lab, as JSON')
    .addOption(folderOption)
    .action(async (options) => print(await (await connected(options)).vms()));
  program
    .command('stop')
    .summary('stop the running lab')
    .addOption(folderOption)
    .action(async (options) => (await connected(options)).stop());
}

function addressOf(lab: Lab): LabAddress {
  const { url, nodes, controlUrl, user, passwordFile, controlTokenFile, mappings, pid } = lab;
  const reached = { url, ...(nodes ? { nodes } : {}), controlUrl };
  return { ...reached, user, passwordFile, controlTokenFile, mappings, pid };
}

async function createVms(lab: Lab, specs: readonly string[], guest?: 'qemu'): Promise<void> {
  const known = new Set((await lab.host.vms()).map(({ name }) => name));
  for (const given of specs) {
    const [name = '', disks = ''] = given.split('=', 2);
    if (!known.has(name)) {
      const spec = { name, disks: disks.split(',').filter(Boolean).map(diskSpec) };
      await withGuest(guest, spec, (whole) => lab.host.createVm(whole));
    }
  }
}

/** A size, a VHDX, or any other file as a raw image. */
export function diskSpec(text: string): DiskSpec {
  if (/^\d/.test(text)) return { size: bytes(text) };
  return /\.vhdx$/i.test(text) ? { fromVhdx: text } : { fromRaw: text };
}

/** Whoever holds the other end is gone, however it went. */
async function stdinEnded(): Promise<void> {
  process.stdin.resume();
  await once(process.stdin, 'close');
}

export function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
