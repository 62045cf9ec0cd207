/** Numbers as people read them. Sizes are binary (GiB), rates are decimal megabytes per second, as disks are sold. */
import { formatBytes } from '../base/index.ts';

/** `107 MB/s`; one decimal below 10, two below 1. */
export function formatRate(bytesPerSecond: number): string {
  const megabytes = bytesPerSecond / 1e6;
  return `${megabytes.toFixed(megabytes >= 10 ? 0 : megabytes >= 1 ? 1 : 2)} MB/s`;
}

/** The figure of a column titled MB/s; empty when there was nothing to measure. */
export function ratePerSecond(bytes: number, seconds: number): string {
  return bytes > 0 && seconds > 0 ? formatRate(bytes / seconds).replace(' MB/s', '') : '';
}

export function bytesCell(bytes: number | undefined): string {
  return bytes === undefined ? '' : formatBytes(bytes);
}

/** `2026-11-23T08:15:00Z` → `2026-11-23 08:15:00Z`. */
export function timeCell(iso: string): string {
  return iso.replace('T', ' ').replace(/\.\d+Z$/, 'Z');
}

/** `1 point`, `2 points`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
