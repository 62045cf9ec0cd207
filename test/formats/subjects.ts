/** Everything that is mutated. The files are made in a folder and live in memory from then on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectionSubjects } from './detection-subjects.ts';
import type { Subject } from './subject.ts';
import { vhdSubjects } from './vhd-subjects.ts';
import { vhdxSubjects } from './vhdx-subjects.ts';

export async function allSubjects(): Promise<Subject[]> {
  const folder = mkdtempSync(join(tmpdir(), 'hvlift-mutations-'));
  try {
    return [...(await vhdxSubjects(folder)), ...vhdSubjects(folder), ...detectionSubjects()];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
