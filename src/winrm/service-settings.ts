/** The settings of the WinRM service itself: the resource `winrm/config`, which only administrators may read. */
import { childOf, type XmlElement } from './soap/xml.ts';

/** Both the resource and the namespace of its answer. */
export const CONFIG_URI = 'http://schemas.microsoft.com/wbem/wsman/1/config';

export interface ServiceSettings {
  /** The largest message either way; 500 unless somebody changed it. */
  readonly maxEnvelopeKiB?: number;
  /** The longest one operation may take. */
  readonly maxTimeoutMs?: number;
}

export function readServiceSettings(content: XmlElement | undefined): ServiceSettings {
  const maxEnvelopeKiB = numberOf(content, 'MaxEnvelopeSizekb');
  const maxTimeoutMs = numberOf(content, 'MaxTimeoutms');
  return {
    ...(maxEnvelopeKiB === undefined ? {} : { maxEnvelopeKiB }),
    ...(maxTimeoutMs === undefined ? {} : { maxTimeoutMs }),
  };
}

function numberOf(content: XmlElement | undefined, name: string): number | undefined {
  const text = childOf(content, CONFIG_URI, name)?.text.trim() ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
