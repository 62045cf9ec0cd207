/**
 * What a backup needs from a host, looked at from the outside inwards; each finding says what was seen and how to mend it.
 *
 *   name ─► ports ─► WinRM service, certificate, clock ─► log-on ─► rights ─► Windows, VMs ─► disk files
 *                                                                                └─► the other nodes of its cluster
 *
 * Only reads: no checkpoint is made, nothing is set. What can not be known that way is said, as `unproved`. A step that fails
 * lets those that need it be skipped; the others go on, so that one run tells all there is to mend.
 */
import { dataPath } from './data-path.ts';
import { envelope } from './envelope.ts';
import { unproved, type Check, type Finding } from './finding.ts';
import { machines } from './machines.ts';
import { otherNodes } from './nodes.ts';
import { rights } from './rights.ts';
import type { DoctorTarget } from './target.ts';
import { visit, type Visit } from './visit.ts';
import { space, windows } from './windows.ts';

const CHANGES: Check = { id: 'changes', title: 'making checkpoints' };

/** Throws the signal's reason, and nothing that a host can cause. */
export function diagnose(target: DoctorTarget, signal: AbortSignal): AsyncGenerator<Finding, void> {
  return visit(target, signal, inside);
}

async function* inside({ look, target, largestAnswer }: Visit): AsyncGenerator<Finding, void> {
  const survey = yield* rights(look);
  yield* windows(look);
  if (!survey) return;
  yield* machines(survey, look.context);
  yield await space(look, survey);
  const files = target.openFiles();
  try {
    yield await dataPath({ ...look, files, survey });
  } finally {
    await files.close();
  }
  yield await envelope({ ...look, largestAnswer: largestAnswer() });
  yield unproved(CHANGES, 'not tried, because it changes the host: the first backup shows it');
  yield* otherNodes(look, target, survey.hostName);
}
