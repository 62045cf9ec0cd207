/** `hvlift lab start --nodes`, `hvlift lab nodes` and `hvlift lab vm move`: a lab that is a cluster. */
import type { Command } from '@commander-js/extra-typings';
import { Option } from '@commander-js/extra-typings';
import { connected, folderOption, print, wholeNumber } from './session.ts';

export const nodesOption = new Option(
  '--nodes <number>',
  'be a failover cluster of so many nodes, 2 to 64, each with a port of its own; a folder stays what it was first',
).argParser(wholeNumber);

export function registerNodes(program: Command): void {
  program
    .command('nodes')
    .summary('the nodes of the cluster and the VMs each owns, as JSON')
    .addOption(folderOption)
    .action(async (options) => print(await (await connected(options)).nodes()));
}

/** `hvlift lab vm move`. */
export function registerMove(vm: Pick<Command, 'command'>): void {
  vm.command('move')
    .summary('give a VM to another node of the cluster, at once')
    .argument('<vm>')
    .argument('<node>')
    .addOption(folderOption)
    .action(async (name, node, options) => (await connected(options)).moveVm(name, node));
}
