/** The WinRM configuration, as far as clients read it: the resource `…/wsman/1/config` of the recorded Get answers. */
import { NS } from './names.ts';
import type { WireTraits } from './traits.ts';
import { element } from './xml-writer.ts';

export function configXml(traits: WireTraits): string {
  const value = (name: string, text: number | boolean): string => element(`cfg:${name}`, {}, String(text));
  const auth =
    value('Basic', false) +
    value('Kerberos', false) +
    value('Negotiate', true) +
    value('Certificate', false) +
    value('CredSSP', false);
  const service =
    value('MaxConcurrentOperationsPerUser', traits.enumerationsPerUserMax) +
    value('EnumerationTimeoutms', traits.enumerationTimeoutMs) +
    value('MaxConnections', traits.connectionsMax) +
    value('AllowUnencrypted', false) +
    element('cfg:Auth', {}, auth);
  const content =
    value('MaxEnvelopeSizekb', Math.floor(traits.maxEnvelopeBytes / 1024)) +
    value('MaxTimeoutms', traits.operationTimeoutMs) +
    value('MaxBatchItems', traits.maxElementsCap) +
    element('cfg:Service', {}, service);
  return element('cfg:Config', { 'xmlns:cfg': NS.config }, content);
}
