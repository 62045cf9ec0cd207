/**
 * Moments and durations in their three spellings:
 *
 *   WS-CIM (DSP0230)     2026-07-29T14:10:59.467886Z          P0DT0H0M1.00417S         fractions of 0 to 6 digits
 *   CIM text (DSP0004)   20260729141059.467886+000            00000000003000.000000:000
 *
 * A host writes the first form in properties and accepts only the second inside CIM-XML (recordings, incident 10).
 * JavaScript dates keep milliseconds: microseconds are dropped on reading.
 */
import { winrmFaults } from '../faults.ts';
import type { CimDatetime } from '../schema.ts';

const ISO_DATE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$/;
const ISO_DURATION = /^P(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$/;
const CIM_DATE = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.([\d*]{6})([+-]\d{3})$/;
const CIM_INTERVAL = /^(\d{8})(\d\d)(\d\d)(\d\d)\.([\d*]{6}):000$/;
/** FILETIME zero: what Windows writes for "never". */
const NEVER_MS = Date.UTC(1601, 0, 1);

/** `null` for "never"; `undefined` when `text` is none of the forms. */
export function parseDatetime(text: string): CimDatetime | null | undefined {
  const trimmed = text.trim();
  const seconds = isoDuration(trimmed) ?? cimInterval(trimmed);
  if (seconds !== undefined) return { intervalSeconds: seconds };
  const milliseconds = isoDate(trimmed) ?? cimDate(trimmed);
  if (milliseconds === undefined || Number.isNaN(milliseconds)) return undefined;
  return milliseconds === NEVER_MS ? null : { date: new Date(milliseconds) };
}

function isoDate(text: string): number | undefined {
  const match = ISO_DATE.exec(text);
  if (!match) return undefined;
  const milliseconds = (match[2] ?? '').padEnd(3, '0').slice(0, 3);
  return Date.parse(`${match[1]}.${milliseconds}${match[3] ?? 'Z'}`);
}

function isoDuration(text: string): number | undefined {
  const match = ISO_DURATION.exec(text);
  if (!match || !/\d/.test(text)) return undefined;
  return sumOf(match[1], match[2], match[3], match[4]);
}

function cimInterval(text: string): number | undefined {
  const match = CIM_INTERVAL.exec(text);
  return match
    ? sumOf(match[1], match[2], match[3], `${match[4]}.${match[5]!.replaceAll('*', '0')}`)
    : undefined;
}

function cimDate(text: string): number | undefined {
  const match = CIM_DATE.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, micros, offset] = match;
  const milliseconds = micros!.replaceAll('*', '0').slice(0, 3);
  const utc = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${milliseconds}Z`);
  return utc - Number(offset) * 60_000;
}

function sumOf(days = '0', hours = '0', minutes = '0', seconds = '0'): number {
  const whole = Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return Math.round(whole * 1e6) / 1e6;
}

/** The child element WS-CIM puts into a datetime parameter. */
export function formatWsCimDatetime(value: CimDatetime): { element: 'Datetime' | 'Interval'; text: string } {
  if (value.date) return { element: 'Datetime', text: isoTextOf(value.date) };
  const { days, hours, minutes, seconds, micros } = partsOf(value.intervalSeconds!);
  const fraction = micros === 0 ? '' : `.${String(micros).padStart(6, '0').replace(/0+$/, '')}`;
  return { element: 'Interval', text: `P${days}DT${hours}H${minutes}M${seconds}${fraction}S` };
}

/** The 25 characters CIM-XML wants. */
export function formatCimDatetime(value: CimDatetime): string {
  if (value.date) return `${isoTextOf(value.date).replace(/[-:TZ]/g, '')}000+000`;
  const { days, hours, minutes, seconds, micros } = partsOf(value.intervalSeconds!);
  const digits = (part: number, width: number): string => String(part).padStart(width, '0');
  const whole = digits(days, 8) + digits(hours, 2) + digits(minutes, 2) + digits(seconds, 2);
  return `${whole}.${digits(micros, 6)}:000`;
}

/** Years of four digits only: that is all the forms can say. */
function isoTextOf(date: Date): string {
  const text = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  if (text.length !== 24) throw unsendable('a date needs a year of four digits');
  return text;
}

interface IntervalParts {
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
  readonly micros: number;
}

function partsOf(intervalSeconds: number): IntervalParts {
  const whole = Math.floor(intervalSeconds);
  const micros = Math.round((intervalSeconds - whole) * 1e6);
  const total = whole + (micros === 1e6 ? 1 : 0);
  const days = Math.floor(total / 86_400);
  if (!(intervalSeconds >= 0) || days > 99_999_999) throw unsendable('an interval is 0 to 99999999 days');
  return {
    days,
    hours: Math.floor(total / 3600) % 24,
    minutes: Math.floor(total / 60) % 60,
    seconds: total % 60,
    micros: micros % 1e6,
  };
}

function unsendable(reason: string): Error {
  return winrmFaults.unsendable({ what: 'a datetime', reason });
}
