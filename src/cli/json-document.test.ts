import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JsonDocument } from './json-document.ts';

type Step = 'object' | 'array' | 'item' | 'field' | 'close';

test('a document that fails at any moment parses, and holds the error and all that was written before', async () => {
  const step = fc.constantFrom<Step>('object', 'array', 'item', 'field', 'close');
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, fails) => {
      let text = '';
      const document = new JsonDocument(async (piece) => void (text += piece));
      await document.object({});
      const model: unknown = {};
      const open: unknown[] = [model];
      for (const [i, next] of steps.entries()) await apply(next, i, document, open);
      if (fails) await document.end({ error: { code: 'X' } });
      else await document.end();
      assert.deepEqual(JSON.parse(text), fails ? { ...(model as object), error: { code: 'X' } } : model);
    }),
  );
});

/** Applies a step where JSON allows it, to the document and to the plain value it should become. */
async function apply(step: Step, i: number, document: JsonDocument, open: unknown[]): Promise<void> {
  const scope = open.at(-1)!;
  if (step === 'close' && open.length > 1) {
    await document.close();
    open.pop();
  } else if (Array.isArray(scope) && step === 'item') {
    await document.item({ i });
    scope.push({ i });
  } else if (Array.isArray(scope) && step === 'object') {
    await document.object({ i, absent: undefined });
    open.push({ i });
    scope.push(open.at(-1));
  } else if (!Array.isArray(scope) && step === 'field') {
    await document.field(`f${i}`, '\u001b"\\');
    (scope as Record<string, unknown>)[`f${i}`] = '\u001b"\\';
  } else if (!Array.isArray(scope) && step === 'array') {
    await document.array(`a${i}`);
    open.push([]);
    (scope as Record<string, unknown>)[`a${i}`] = open.at(-1);
  }
}

test('many items are written in few pieces, and never all at once', async () => {
  const pieces: number[] = [];
  const document = new JsonDocument(async (piece) => void pieces.push(piece.length));
  await document.object({});
  await document.array('extents');
  for (let i = 0; i < 100_000; i += 1) await document.item({ offset: i * 65536, length: 65536 });
  await document.end();
  assert.ok(pieces.length < 100, `${pieces.length} writes`);
  assert.ok(Math.max(...pieces) < 128 * 1024, `${Math.max(...pieces)} characters at once`);
});
