import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as auth from '../auth/index.ts';
import * as flows from '../flows/index.ts';
import * as hypervisors from '../hypervisors/index.ts';
import * as repository from '../repository/index.ts';
import * as choices from './choices.ts';

test('the choices of options are those of what does the work', () => {
  const { CURRENT_USER } = auth;
  const { CUTOVER_VERIFIES, MACHINE_KINDS } = flows;
  const { CONVERSIONS } = hypervisors;
  const { RETENTION_RULES } = repository;
  const theirs = { CONVERSIONS, CURRENT_USER, CUTOVER_VERIFIES, MACHINE_KINDS, RETENTION_RULES };
  assert.deepEqual({ ...choices }, theirs);
});
