/** How many restore points to keep: from the options of a command, else from `vms` of the configuration. */
import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { RetentionPolicy } from '../repository/index.ts';
import type { VmRetention } from '../flows/index.ts';
import { RETENTION_RULES } from './choices.ts';
import type { Config } from './config-schema.ts';

export interface RetentionOptions {
  readonly keepLast?: number | undefined;
  readonly keepHourly?: number | undefined;
  readonly keepDaily?: number | undefined;
  readonly keepWeekly?: number | undefined;
  readonly keepMonthly?: number | undefined;
  readonly keepYearly?: number | undefined;
  readonly minGood?: number | undefined;
}

export const keepLastOption = new Option('--keep-last <n>', 'keep the newest N points').argParser(pointCount);
export const keepHourlyOption = new Option(
  '--keep-hourly <n>',
  'keep the newest point of each of the N newest hours that have one',
).argParser(pointCount);
export const keepDailyOption = new Option('--keep-daily <n>', 'the same of N days').argParser(pointCount);
export const keepWeeklyOption = new Option('--keep-weekly <n>', 'the same of N weeks').argParser(pointCount);
export const keepMonthlyOption = new Option('--keep-monthly <n>', 'the same of N months').argParser(
  pointCount,
);
export const keepYearlyOption = new Option('--keep-yearly <n>', 'the same of N years').argParser(pointCount);
export const minGoodOption = new Option(
  '--min-good <n>',
  'never go below N good points of a VM; default 3',
).argParser(pointCount);

/** What the command line says holds for every VM, and the configuration is not looked at then. */
export function retentionOf(options: RetentionOptions, config: Config): VmRetention[] {
  const asked = policyOfOptions(options);
  if (asked) return [{ match: '*', keep: asked }];
  return (config.vms ?? []).flatMap(({ match, keep }) => (keep === undefined ? [] : [{ match, keep }]));
}

/** Undefined when no rule is named. */
export function policyOfOptions(options: RetentionOptions): RetentionPolicy | undefined {
  const { keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly, keepYearly, minGood } = options;
  const rules = {
    last: keepLast,
    hourly: keepHourly,
    daily: keepDaily,
    weekly: keepWeekly,
    monthly: keepMonthly,
    yearly: keepYearly,
  };
  if (RETENTION_RULES.every((rule) => rules[rule] === undefined)) return undefined;
  return { ...rules, minGood };
}

function pointCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a number of restore points.');
  return count;
}
