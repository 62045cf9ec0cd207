import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newGuid } from '../base/index.ts';
import { defaultParentPaths, relativeParentPath } from './parent-paths.ts';

const parentLinkage = newGuid();

test('a parent is looked for beside the child in the child’s own notation, then at the absolute and the volume path', () => {
  const cases: [child: string, relative: string, expected: string][] = [
    ['/vm/child.avhdx', '.\\base.vhdx', '/vm/base.vhdx'],
    ['/vm/snapshots/child.avhdx', '..\\disks\\base.vhdx', '/vm/disks/base.vhdx'],
    ['child.avhdx', '.\\base.vhdx', 'base.vhdx'],
    ['C:\\VMs\\child.avhdx', '.\\base.vhdx', 'C:\\VMs\\base.vhdx'],
    ['c:/VMs/child.avhdx', '..\\base.vhdx', 'c:\\base.vhdx'],
    ['\\\\server\\share\\vm\\child.avhdx', '..\\base.vhdx', '\\\\server\\share\\base.vhdx'],
    ['\\\\?\\C:\\VMs\\child.avhdx', '.\\base.vhdx', '\\\\?\\C:\\VMs\\base.vhdx'],
  ];
  for (const [child, relativePath, expected] of cases) {
    const paths = defaultParentPaths(child, {
      parentLinkage,
      relativePath,
      volumePath: '\\\\?\\Volume{1}\\base.vhdx',
      absolutePath: 'C:\\VMs\\base.vhdx',
    });
    assert.deepEqual(paths, [expected, 'C:\\VMs\\base.vhdx', '\\\\?\\Volume{1}\\base.vhdx']);
  }
  assert.deepEqual(defaultParentPaths('/vm/child', { parentLinkage }), []);
});

test('a relative path is written as Windows writes it and leads back to the parent', () => {
  const cases: [child: string, parent: string, expected: string][] = [
    ['/vm/child.avhdx', '/vm/base.vhdx', '.\\base.vhdx'],
    ['/vm/a/child.avhdx', '/vm/b/base.vhdx', '..\\b\\base.vhdx'],
    ['/vm/child.avhdx', '/vm/.hidden/base.vhdx', '.\\.hidden\\base.vhdx'],
    ['C:\\VMs\\child.avhdx', 'C:\\VMs\\sub\\base.vhdx', '.\\sub\\base.vhdx'],
  ];
  for (const [child, parent, expected] of cases) {
    const relativePath = relativeParentPath(child, parent);
    assert.equal(relativePath, expected);
    assert.deepEqual(defaultParentPaths(child, { parentLinkage, relativePath }), [parent]);
  }
  assert.equal(relativeParentPath('C:\\VMs\\child.avhdx', 'D:\\base.vhdx'), undefined);
});
