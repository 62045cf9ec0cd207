/**
 * Moments and durations in their two spellings. WS-CIM uses child elements with ISO forms whose fractions lose their
 * trailing zeros (recorded: `.68424Z`, `1.00417S`, `0S`); CIM-XML uses the fixed 25 characters of DSP0004.
 */
import type { LabInterval } from '../cim.ts';

export type Datetime = Date | LabInterval;

/** `<cim:Datetime>` or `<cim:Interval>`, as a property of an instance holds it. */
export function datetimeElement(value: Datetime): string {
  return value instanceof Date
    ? `<cim:Datetime>${value.toISOString().replace(/\.?0*Z$/, 'Z')}</cim:Datetime>`
    : `<cim:Interval>${isoInterval(value.intervalSeconds)}</cim:Interval>`;
}

/** `P0DT0H0M1.00417S`: all four parts are always there. */
function isoInterval(seconds: number): string {
  const microseconds = Math.round(seconds * 1e6);
  const whole = Math.floor(microseconds / 1e6);
  const fraction = String(microseconds % 1e6)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const { days, hours, minutes, rest } = split(whole);
  return `P${days}DT${hours}H${minutes}M${rest}${fraction === '' ? '' : `.${fraction}`}S`;
}

const ISO_DATETIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$/;
const ISO_INTERVAL = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;

export function parseIsoDatetime(text: string): Date | undefined {
  return ISO_DATETIME.test(text) ? new Date(text) : undefined;
}

export function parseIsoInterval(text: string): LabInterval | undefined {
  const match = ISO_INTERVAL.exec(text);
  if (!match) return undefined;
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return { intervalSeconds: days! * 86_400 + hours! * 3_600 + minutes! * 60 + seconds! };
}

/** DSP0004: `yyyymmddhhmmss.mmmmmm+000` or, for a duration, `ddddddddhhmmss.mmmmmm:000`. */
export function cimDatetime(value: Datetime): string {
  if (value instanceof Date) {
    const digits = value.toISOString().replace(/[-:TZ]/g, '');
    return `${digits}000+000`;
  }
  const microseconds = Math.round(value.intervalSeconds * 1e6);
  const { days, hours, minutes, rest } = split(Math.floor(microseconds / 1e6));
  const two = (part: number): string => String(part).padStart(2, '0');
  const fraction = String(microseconds % 1e6).padStart(6, '0');
  return `${String(days).padStart(8, '0')}${two(hours)}${two(minutes)}${two(rest)}.${fraction}:000`;
}

const CIM_DATETIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-]\d{3})$/;
const CIM_INTERVAL = /^(\d{8})(\d\d)(\d\d)(\d\d)\.(\d{6}):000$/;

export function parseCimDatetime(text: string): Datetime | undefined {
  const interval = CIM_INTERVAL.exec(text)?.slice(1).map(Number);
  if (interval) {
    const [days, hours, minutes, seconds, microseconds] = interval as [
      number,
      number,
      number,
      number,
      number,
    ];
    const whole = days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
    return { intervalSeconds: whole + microseconds / 1e6 };
  }
  const moment = CIM_DATETIME.exec(text);
  if (!moment) return undefined;
  const [year, month, day, hour, minute, second, micro, zoneMinutes] = moment.slice(1).map(Number);
  const utc = Date.UTC(year!, month! - 1, day!, hour!, minute! - zoneMinutes!, second!, micro! / 1000);
  return new Date(utc);
}

function split(seconds: number): { days: number; hours: number; minutes: number; rest: number } {
  return {
    days: Math.floor(seconds / 86_400),
    hours: Math.floor(seconds / 3_600) % 24,
    minutes: Math.floor(seconds / 60) % 60,
    rest: seconds % 60,
  };
}
