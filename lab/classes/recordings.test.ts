/** The class tables against the answers of a real host, where recordings are at hand. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordingsFolder } from '../../test/requires.ts';
import { LAB_CLASSES, classesUnder } from './index.ts';

const recordings = recordingsFolder();

function recordedProperties(file: string): Set<string> {
  const xml = readFileSync(join(recordings!, 'go-wsman', file), 'utf8');
  return new Set(
    [...xml.matchAll(/<p:(\w+)/g)].map((match) => match[1]!).filter((name) => !name.startsWith('Msvm_')),
  );
}

function scalars(className: string): string[] {
  const properties = LAB_CLASSES.get(className)!.properties;
  return Object.keys(properties).filter((name) => !properties[name]!.array);
}

if (recordings !== undefined) {
  for (const [className, file] of [
    ['Msvm_ComputerSystem', 'recorded_computersystem_pull_vm_running_a.xml'],
    ['Msvm_StorageJob', 'get_response_storagejob_completed.xml'],
    ['Msvm_VirtualEthernetSwitch', 'recorded_pull_virtualethernetswitch.xml'],
  ] as const) {
    test(`${className}: every scalar property is in the recording, and every recorded property is in the table`, () => {
      const recorded = recordedProperties(file);
      assert.deepEqual(
        scalars(className).filter((name) => !recorded.has(name)),
        [],
      );
      assert.deepEqual(
        [...recorded].filter((name) => !(name in LAB_CLASSES.get(className)!.properties)),
        [],
      );
    });
  }
}

test('a service has the 28 generic properties and four keys', () => {
  for (const cls of classesUnder('CIM_Service')) {
    assert.equal(Object.keys(cls.properties).length, 28, cls.name);
    assert.equal(Object.values(cls.properties).filter((property) => property.key).length, 4, cls.name);
  }
});

test('classes are found below their superclasses without regard to case', () => {
  assert.deepEqual(
    classesUnder('cim_concretejob').map((cls) => cls.name),
    ['Msvm_ConcreteJob', 'Msvm_StorageJob'],
  );
  assert.ok(classesUnder('CIM_ManagedElement').length > 10);
  assert.deepEqual(classesUnder('CIM_Nothing'), []);
});
