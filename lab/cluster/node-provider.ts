/** One node: the shared host under a name of its own, without the VMs that other nodes own. */
import {
  LabWmiError,
  type LabCaller,
  type LabCimProvider,
  type LabInstance,
  type LabMethodResult,
  type LabPath,
  type LabValue,
} from '../cim.ts';
import { LAB_CLASSES, NAMESPACE } from '../classes/index.ts';
import { RETURN, type VmInfo } from '../model/index.ts';
import type { LabCluster } from './lab-cluster.ts';

/** 0x80041002. */
const NOT_FOUND = 0x8004_1002;
/** The service that looks at disk files: in use by another node, a file is refused (facts: hyperv.md §1.7, §1.8). */
const IMAGE_SERVICE = 'Msvm_ImageManagementService';

export function createNodeProvider(
  cluster: LabCluster,
  node: string,
  shared: LabCimProvider,
): LabCimProvider {
  return new NodeProvider(cluster, node, shared);
}

class NodeProvider implements LabCimProvider {
  readonly namespace = NAMESPACE;
  readonly classes = LAB_CLASSES;
  readonly hostName: string;
  readonly #cluster: LabCluster;
  readonly #shared: LabCimProvider;
  /** Jobs that were begun here, by InstanceID: they live in the service of this node. */
  readonly #jobs = new Set<string>();

  constructor(cluster: LabCluster, node: string, shared: LabCimProvider) {
    this.#cluster = cluster;
    this.hostName = node;
    this.#shared = shared;
  }

  get others(): readonly LabCimProvider[] {
    return [...(this.#provider.others ?? []), this.#shared];
  }

  async instances(className: string, caller: LabCaller): Promise<LabInstance[]> {
    const rows = await this.#provider.instances(className, caller);
    const elsewhere = await this.#elsewhere();
    return rows
      .filter((row) => this.#isJobOfOurs(row) ?? !mentions(row, elsewhere))
      .map((row) => renamed(row, this.#provider.hostName, this.hostName));
  }

  async invoke(
    target: LabPath,
    method: string,
    parameters: Readonly<Record<string, LabValue>>,
    caller: LabCaller,
  ): Promise<LabMethodResult> {
    if (target.className === IMAGE_SERVICE && (await this.#isInUseElsewhere(parameters['Path'])))
      return { returnValue: RETURN.inUse, out: {} };
    const elsewhere = await this.#elsewhere();
    if ([target, ...Object.values(parameters)].some((value) => mentions(value, elsewhere)))
      throw new LabWmiError(NOT_FOUND, 'the VM is on another node');
    const own = renamed(target, this.hostName, this.#provider.hostName);
    const result = await this.#provider.invoke(own, method, parameters, caller);
    const job = (result.out['Job'] ?? undefined) as LabPath | undefined;
    if (job) this.#jobs.add(job.keys['InstanceID']!);
    return result;
  }

  get #provider(): LabCimProvider {
    return this.#cluster.host().provider;
  }

  /** Undefined for what is no job. */
  #isJobOfOurs({ className, properties }: LabInstance): boolean | undefined {
    if (className === 'Msvm_ConcreteJob') return this.#jobs.has(properties['InstanceID'] as string);
    if (className !== 'Msvm_AffectedJobElement') return undefined;
    const job = properties['AffectingElement'] as LabPath;
    return this.#jobs.has(job.keys['InstanceID']!);
  }

  async #hidden(): Promise<VmInfo[]> {
    return (await this.#cluster.vms()).filter(({ id }) => !this.#cluster.shows(this.hostName, id));
  }

  /** GUIDs of what does not show here: VMs, with their checkpoints and reference points. */
  async #elsewhere(): Promise<Set<string>> {
    const vms = await this.#hidden();
    const parts = vms.flatMap(({ checkpoints, referencePoints }) => [...checkpoints, ...referencePoints]);
    return new Set([...vms, ...parts].map(({ id }) => id));
  }

  async #isInUseElsewhere(path: LabValue | undefined): Promise<boolean> {
    if (typeof path !== 'string') return false;
    const wanted = path.toLowerCase();
    const files = (await this.#hidden()).flatMap(({ disks }) => disks).flatMap((disk) => disk.files);
    return files.some((file) => file.toLowerCase() === wanted);
  }
}

const GUID = /[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}/gi;

/** Some text in the value, at whatever depth, holds one of the GUIDs. */
function mentions(value: LabValue | LabInstance, guids: ReadonlySet<string>): boolean {
  if (typeof value === 'string')
    return (value.match(GUID) ?? []).some((guid) => guids.has(guid.toUpperCase()));
  if (value === null || typeof value !== 'object' || value instanceof Date) return false;
  return Object.values(value).some((part) => mentions(part as LabValue, guids));
}

/** Every text that is the name of the host, as the other name. */
function renamed<T>(value: T, from: string, to: string): T {
  if (typeof value === 'string') return (value === from ? to : value) as T;
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((part) => renamed(part as unknown, from, to)) as T;
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, renamed(part, from, to)]),
  ) as T;
}
