import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode, newGuid } from '../base/index.ts';
import type { Vm } from '../hyperv/index.ts';
import { isMeant, selectVms, tagsOf, type VmSelection } from './selection.ts';

function vm(name: string, ...notes: string[]): Vm {
  return { id: newGuid(), name, state: 'running', ...(notes.length > 0 ? { notes } : {}) };
}

const VMS = [
  vm('web02', 'Front end. #hvlift:daily'),
  vm('sql01', 'keep\n#HVLIFT:Daily #hvlift:gold', 'second note'),
  vm('web01'),
  vm('twin'),
  vm('twin'),
  vm('odd*name'),
];

function names(selection: VmSelection): string[] {
  return selectVms(VMS, selection).selected.map(({ name }) => name);
}

test('a VM is meant by name in any letters, by GUID, by pattern and by the tag in its notes', () => {
  assert.deepEqual(names({ vms: ['SQL01', VMS[2]!.id.toUpperCase()] }), ['sql01', 'web01']);
  assert.deepEqual(names({ vms: ['web0?'] }), ['web01', 'web02']);
  assert.deepEqual(names({ vms: ['*0*'] }), ['sql01', 'web01', 'web02']);
  assert.deepEqual(names({ vms: ['#daily'] }), ['sql01', 'web02']);
  assert.deepEqual(names({ vms: ['#gold', 'web*', 'sql01'] }), ['sql01', 'web01', 'web02']);
  assert.deepEqual(names({ vms: ['odd*name'] }), ['odd*name']);
});

test('all of them except some: whatever way those are named', () => {
  assert.deepEqual(names({ vms: [], all: true, except: ['web*', '#gold'] }), ['odd*name', 'twin', 'twin']);
  assert.deepEqual(names({ vms: ['web*'], except: ['web02'] }), ['web01']);
});

test('a text that names nothing, or a name of several VMs, is missing by its fault and hides no other', () => {
  const { selected, missing } = selectVms(VMS, { vms: ['gone', 'sql01', 'x*', '#none', 'twin'] });
  assert.deepEqual(
    selected.map(({ name }) => name),
    ['sql01'],
  );
  assert.deepEqual(
    missing.map(({ text, fault }) => [text, fault.code]),
    [
      ['gone', 'HYPERV_VM_NOT_FOUND'],
      ['x*', 'FLOW_NO_VM_MATCHES'],
      ['#none', 'FLOW_NO_VM_MATCHES'],
      ['twin', 'HYPERV_VM_AMBIGUOUS'],
    ],
  );
});

test('an exception that names nothing is refused: what was to be left out would be backed up', () => {
  for (const slip of ['web03', 'wbe*', '#dialy']) {
    assert.throws(
      () => selectVms(VMS, { vms: [], all: true, except: [slip] }),
      (error) => hasCode(error, 'FLOW_NO_VM_MATCHES', 'HYPERV_VM_NOT_FOUND'),
    );
  }
});

test('a selection that leaves nothing is refused, not done with nothing', () => {
  for (const selection of [
    { vms: ['web01'], except: ['web*'] },
    { vms: [], all: true, except: ['*'] },
  ]) {
    assert.throws(
      () => selectVms(VMS, selection),
      (error) => hasCode(error, 'FLOW_NO_VM_LEFT'),
    );
  }
});

test('tags are words of their own form in the notes; other text is none', () => {
  assert.deepEqual(tagsOf(['#hvlift:a,#hvlift:b-1. #hvlift: c', 'hvlift:d #other:e']), ['a', 'b-1']);
  assert.deepEqual(tagsOf(undefined), []);
});

test('a pattern means what a regular expression of it means, and many stars cost nothing', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
  fc.assert(
    fc.property(letters, text, (pattern, name) => {
      fc.pre(/[*?]/.test(pattern));
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(name);
      assert.equal(isMeant({ id: '', name }, pattern), expected);
    }),
    { numRuns: 500 },
  );
  assert.equal(isMeant({ id: '', name: 'a'.repeat(500) }, `${'*a'.repeat(200)}b`), false);
});
