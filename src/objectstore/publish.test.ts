/** Volumes without hard links: names are given by claim there. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hasCode } from '../base/index.ts';
import { systemFiles } from './file-calls.ts';
import { publishByClaim, type Publication } from './publish.ts';

const folders: string[] = [];
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

async function publications(count: number): Promise<Publication[]> {
  const root = await mkdtemp(join(tmpdir(), 'hvlift-publish-'));
  folders.push(root);
  await mkdir(join(root, '.incoming'));
  const made = Array.from({ length: count }, (_, i) => ({
    files: systemFiles,
    part: join(root, '.incoming', `${i}.part`),
    path: join(root, 'object'),
    claim: join(root, '.incoming', 'object.claim'),
    name: 'object',
    location: root,
  }));
  for (const [i, { part }] of made.entries()) await writeFile(part, `writer ${i}`);
  return made;
}

test('a name is given once; the second writer keeps its file and is told', async () => {
  const [first, second] = (await publications(2)) as [Publication, Publication];
  assert.equal(await publishByClaim(first), true);
  assert.equal(await publishByClaim(second), false);
  assert.equal(await readFile(first.path, 'utf8'), 'writer 0');
  assert.deepEqual(await readdir(join(first.location, '.incoming')), ['1.part']);
});

test('of writers at the same moment one wins, the others are told or asked to come again', async () => {
  const writers = await publications(8);
  const results = await Promise.allSettled(writers.map(publishByClaim));
  const winners = results.flatMap((r, i) => (r.status === 'fulfilled' && r.value ? [i] : []));
  assert.equal(winners.length, 1);
  assert.equal(await readFile(writers[0]!.path, 'utf8'), `writer ${winners[0]}`);
  for (const result of results.filter((r) => r.status === 'rejected')) {
    assert.ok(hasCode(result.reason, 'STORE_NAME_BUSY'));
  }
});

test('a claim that is held is not taken, and the remedy names it', async () => {
  const [writer] = (await publications(1)) as [Publication];
  await writeFile(writer.claim, '');
  await assert.rejects(
    publishByClaim(writer),
    (error) => hasCode(error, 'STORE_NAME_BUSY') && error.remedy.includes(writer.claim),
  );
});
