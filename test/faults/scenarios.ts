/** The runs whose every request is struck in turn, and the rows of the matrix they give. */
import type { Bench, HostCall, RunOptions } from './broken-run.ts';

export interface Scenario {
  readonly name: string;
  readonly options: RunOptions;
  /** What went before. */
  prepare(bench: Bench): Promise<void>;
}

export const INCREMENTAL: Scenario = {
  name: 'An incremental backup',
  options: {},
  prepare: async () => {},
};

export const SCENARIOS: readonly Scenario[] = [
  INCREMENTAL,
  { name: 'A full backup', options: { full: true }, prepare: async () => {} },
  {
    name: 'A backup after one that was killed before it named its checkpoint',
    options: {},
    prepare: (bench) => bench.die('ModifySystemSettings', 'death before'),
  },
];

/** One request of a run. */
export interface Place {
  readonly call: number;
  readonly request: number;
}

/** Requests of the same kind at the same stage of the run. */
export interface Row {
  readonly request: string;
  /** The change of the host it follows; empty before the first. */
  readonly after: string;
  readonly places: readonly Place[];
}

const KINDS: Readonly<Record<string, string>> = { query: 'WQL', enumerate: 'Enumerate', get: 'Get' };

/** Of the name of a call or a request. */
export function isChange(name: string): boolean {
  return /^(Create|Modify|Convert|Destroy)/.test(name);
}

export function rowsOf(calls: readonly HostCall[]): Row[] {
  const rows = new Map<string, Row & { places: Place[] }>();
  let after = '';
  for (const [call, { name, requests }] of calls.entries()) {
    for (let request = 0; request < requests; request += 1) {
      const asked = request === 0 ? requestName(name) : `Pull ${name.split(' ').at(-1)}`;
      const row = rows.get(`${asked}, ${after}`) ?? { request: asked, after, places: [] };
      rows.set(`${asked}, ${after}`, row);
      row.places.push({ call, request });
    }
    if (isChange(name)) after = name;
  }
  return [...rows.values()];
}

/** `query Msvm_X` is what the client's port calls it; on the wire it is an Enumerate with a filter. */
function requestName(call: string): string {
  const [kind = '', cls] = call.split(' ');
  return cls === undefined ? kind : `${KINDS[kind]} ${cls}`;
}
