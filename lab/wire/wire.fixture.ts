/** A wire over the fixture provider, and a client that is let in. */
import { WireClient } from './client.fixture.ts';
import type { WireFaults } from './disturbance.ts';
import type { Account } from './ntlm.ts';
import { FixtureProvider } from './provider.fixture.ts';
import type { WireTraits } from './traits.ts';
import { startWire, type Wire } from './wire.ts';
import { parseXml, type XmlElement } from './xml-reader.ts';

export const ADMIN: Account = { user: 'admin', password: 'Passw0rd!x' };
export const FILTERED: Account = { user: 'limited', password: 'Passw0rd!y', filtered: true };

export interface Bench {
  readonly provider: FixtureProvider;
  readonly wire: Wire;
  readonly client: WireClient;
  /** Sends an envelope and parses the answer. */
  readonly ask: (xml: string) => Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly xml: string;
  readonly root: XmlElement;
}

export async function withWire(
  options: { traits?: Partial<WireTraits>; faults?: WireFaults; account?: Account },
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const { account = ADMIN, ...rest } = options;
  const provider = new FixtureProvider();
  const wire = await startWire({ provider, users: [ADMIN, FILTERED], ...rest });
  try {
    using client = await WireClient.authenticated(wire.port, account);
    await use({ provider, wire, client, ask: (xml) => ask(client, xml) });
  } finally {
    await wire.close();
  }
}

export async function ask(client: WireClient, xml: string): Promise<Answer> {
  const answer = await client.soap(xml);
  return { ...answer, root: parseXml(answer.xml) };
}

/** Every element of this name, in any namespace, in document order. */
export function all(element: XmlElement, local: string): XmlElement[] {
  const below = element.children.flatMap((child) => all(child, local));
  return element.local === local ? [element, ...below] : below;
}

export function text(element: XmlElement, local: string): string | undefined {
  return all(element, local)[0]?.text;
}

/** Subcode and the outermost number of a fault. */
export function faultOf({ root }: Answer): { subcode: string | undefined; code: number } {
  const values = all(root, 'Value').map((value) => value.text);
  const fault = all(root, 'WSManFault')[0];
  const code = fault?.attribute('Code') ?? text(root, 'error_Code');
  return { subcode: values[1] ?? values[0], code: Number(code) };
}
