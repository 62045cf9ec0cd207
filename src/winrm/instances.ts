/** Every instance of an enumeration or a query, page by page; one that is abandoned is released on the host. */
import type { Call, SoapCaller } from './caller.ts';
import { winrmFaults } from './faults.ts';
import { enumerateBody, pullBody, readPage, releaseBody } from './soap/enumeration.ts';
import { ACTION } from './soap/names.ts';
import type { XmlElement } from './soap/xml.ts';

/** An enumeration of a host never comes near; a host that never ends one is stopped here. */
const INSTANCES_MAX = 1_000_000;
const EMPTY_PAGES_MAX = 100;
const RELEASE_TIMEOUT_MS = 5_000;

export interface Enumeration {
  readonly resourceUri: string;
  /** The class, for faults. */
  readonly resource: string;
  readonly query?: string;
  readonly pageSize: number;
  readonly signal?: AbortSignal | undefined;
}

export async function* instancesOf(caller: SoapCaller, enumeration: Enumeration): AsyncGenerator<XmlElement> {
  const { pageSize, query, resource } = enumeration;
  const call = (action: string, body: string): Call => ({ ...enumeration, action, body });
  let page = await caller.read(call(ACTION.enumerate, enumerateBody(pageSize, query)), (content) =>
    readPage(content),
  );
  let count = 0;
  let emptyPages = 0;
  try {
    for (;;) {
      yield* page.items;
      const { context } = page;
      if (context === undefined) return;
      count += page.items.length;
      emptyPages = page.items.length === 0 ? emptyPages + 1 : 0;
      if (count > INSTANCES_MAX || emptyPages > EMPTY_PAGES_MAX) {
        throw winrmFaults.protocolBroken({ reason: `the enumeration of ${resource} does not end` });
      }
      // Not repeated after a break: what the lost page held would be missing. The caller starts again.
      page = await caller.once(call(ACTION.pull, pullBody(context, pageSize)), (content) =>
        readPage(content, context),
      );
    }
  } finally {
    if (page.context !== undefined) await release(caller, call(ACTION.release, releaseBody(page.context)));
  }
}

/** The host would keep it for minutes otherwise. Failing to is no failure of the enumeration. */
async function release(caller: SoapCaller, call: Call): Promise<void> {
  const signal = AbortSignal.timeout(RELEASE_TIMEOUT_MS);
  await caller.once({ ...call, signal }, () => undefined).catch(() => undefined);
}
