/**
 * What can be set about the emulated host. Every default is what a real host was seen or is documented to do, and never
 * kinder; docs/protocols/lab-wire.md names the source and the test of each.
 */
export interface WireTraits {
  /** Language of the host: `xml:lang` of every answer and of its fault texts, whatever the client asks for. */
  readonly language: 'ja-JP' | 'en-US';
  /** MaxEnvelopeSizekb × 1024: larger requests are refused with HTTP 413, larger answers become a fault. */
  readonly maxEnvelopeBytes: number;
  /** MaxBatchItems: a larger MaxElements counts as this. */
  readonly maxElementsCap: number;
  /** MaxTimeoutms: the longest OperationTimeout; a call that takes longer is a TimedOut fault and goes on in the host. */
  readonly operationTimeoutMs: number;
  /** EnumerationTimeoutms: an enumeration nobody pulls from is forgotten after this. */
  readonly enumerationTimeoutMs: number;
  /** MaxConcurrentOperationsPerUser: open enumerations of one user. */
  readonly enumerationsPerUserMax: number;
  /** Idle connections are closed after this. */
  readonly idleConnectionMs: number;
  /** Time for a request to arrive in full, and for a new connection to send its first. */
  readonly receiveTimeoutMs: number;
  /** MaxConnections: further ones are dropped. */
  readonly connectionsMax: number;
  /** Which of the two seen forms the detail of faults has; quota faults always have the second. */
  readonly faultDetail: 'WSManFault' | 'MSFT_WmiError';
  /** Where ReturnValue stands among the out parameters: both were seen. */
  readonly returnValue: 'first' | 'last';
}

export const REAL_HOST: WireTraits = {
  language: 'ja-JP',
  maxEnvelopeBytes: 500 * 1024,
  maxElementsCap: 32_000,
  operationTimeoutMs: 60_000,
  enumerationTimeoutMs: 60_000,
  enumerationsPerUserMax: 1_500,
  idleConnectionMs: 120_000,
  receiveTimeoutMs: 120_000,
  connectionsMax: 300,
  faultDetail: 'WSManFault',
  returnValue: 'last',
};
