export type { WireFaultRule, WireFaults } from './disturbance.ts';
export { decodeEmbedded, encodeEmbedded } from './embedded.ts';
export type { Account } from './ntlm.ts';
export { formatPath, parsePath } from './object-path.ts';
export { REAL_HOST, type WireTraits } from './traits.ts';
export { startWire, type Wire, type WireOptions, type WireStats } from './wire.ts';
