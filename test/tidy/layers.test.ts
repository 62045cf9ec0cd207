/** Tests about the code itself: which layer may import which, and names that say nothing. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** A folder may import from folders named before it. docs/architecture.md draws this list. */
const LAYERS = [
  'base',
  'native',
  'extents',
  'disk',
  'workers',
  'copy',
  'remote',
  'overlay',
  'chain',
  'vhdx',
  'vhd',
  'virtualdisk',
  'images',
  'filesystems',
  'nbd',
  'ntlm',
  'auth',
  'smb',
  'ssh',
  'sftp',
  'winrm',
  'hostfile',
  'hyperv',
  'objectstore',
  'repository',
  'capture',
  'machines',
  'hypervisors',
  'targets',
  'flows',
  'doctor',
  'recording',
  'service',
  'cli',
];

const sources = globSync('src/**/*.ts', { cwd: root }).filter((file) => !isTest(file));

function isTest(file: string): boolean {
  return /\.(test|long|fixture)\.ts$/.test(file) || file.endsWith('conformance.ts');
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    relative(root, join(root, dirname(file), match[1]!)),
  );
}

test('every folder of src is a known layer and imports only from layers before it', () => {
  const wrong = sources.flatMap((file) => {
    const from = LAYERS.indexOf(file.split('/')[1]!);
    if (from < 0) return [`${file}: not a known layer`];
    return importsOf(file)
      .filter((target) => LAYERS.indexOf(target.split('/')[1] ?? '') > from || !target.startsWith('src/'))
      .map((target) => `${file} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

test('src enters another folder of src by its index only', () => {
  const wrong = sources.flatMap((file) =>
    importsOf(file)
      .filter((target) => target.split('/')[1] !== file.split('/')[1])
      .filter((target) => !target.endsWith('index.ts'))
      .map((target) => `${file} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test('the lab shares nothing with the WS-Management client it answers', () => {
  const wrong = globSync('lab/{wire,model,guest-qemu}/**/*.ts', { cwd: root })
    .filter((file) => !isTest(file))
    .flatMap((file) =>
      importsOf(file)
        .filter((target) =>
          /^src\/(winrm|hyperv|capture|repository|targets|hypervisors|flows|cli)\//.test(target),
        )
        .map((target) => `${file} imports ${target}`),
    );
  assert.deepEqual(wrong, []);
});

test('no file is named for nothing', () => {
  const names = globSync('{src,lab,test,bench}/**/*.ts', { cwd: root });
  assert.deepEqual(
    names.filter((file) => /(^|\/)(utils?|helpers?|common|types|misc)(\/|\.)/.test(file)),
    [],
  );
});
