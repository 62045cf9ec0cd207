import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { declaredFaults, Fault } from '../base/index.ts';
import { joinNames, powershellFor, quoted } from './powershell.ts';

/** Of Windows itself and its WinRM, Hyper-V, networking and local accounts modules. Whoever adds one looks it up first. */
const COMMANDS = [
  'Add-LocalGroupMember',
  'Add-WindowsCapability',
  'Enable-NetFirewallRule',
  'Enable-PSRemoting',
  'Format-List',
  'Format-Table',
  'Get-ChildItem',
  'Get-NetFirewallRule',
  'Get-Service',
  'Get-VM',
  'Get-VMSnapshot',
  'Get-Volume',
  'Get-WindowsFeature',
  'New-Item',
  'New-NetFirewallRule',
  'Remove-VMSnapshot',
  'Set-Item',
  'Set-ItemProperty',
  'Set-Service',
  'Start-Service',
  'Update-VMVersion',
  'setspn',
  'w32tm',
  'winrm',
];

const root = join(import.meta.dirname, '..', '..');

before(async () => {
  for (const file of globSync('src/**/{faults,*-faults}.ts', { cwd: root })) await import(join(root, file));
});

/** Every line any fault can lead to. */
function allLines(user: string, names: string): string[] {
  const context = { user, host: 'hv1', tls: false };
  return [...declaredFaults].flatMap(([code, definition]) =>
    ['winrm', 'smb', 'ssh'].flatMap((use) =>
      [context, { ...context, tls: true }].flatMap((each) =>
        powershellFor(new Fault(code, definition, { use, vms: names, names }), each),
      ),
    ),
  );
}

/** The text without what PowerShell takes as a string. */
const outsideStrings = (line: string): string => line.replaceAll(/'(?:[^']|'')*'/g, '');

test('every line to paste begins with a command that is known, as does every part of a pipe', () => {
  const lines = allLines('CORP\\ann', 'web01').filter((line) => !line.startsWith('#'));
  const used = new Set(
    lines.flatMap((line) =>
      outsideStrings(line)
        .split('|')
        .map((part) => part.trim().split(' ')[0]!),
    ),
  );
  assert.deepEqual([...used].sort(), [...COMMANDS].sort());
});

test('a name ends no string, whatever is in it', () => {
  for (const name of [
    "a'; Remove-Item C:\\ -Recurse; '",
    '\u2019; evil',
    '"$(evil)"',
    '`n',
    "'",
    "''",
    '\u201b|evil',
  ]) {
    for (const line of allLines(`CORP\\${name}`, name).filter((each) => !each.startsWith('#'))) {
      assert.doesNotMatch(
        outsideStrings(line.replaceAll(/[\u2018-\u201b]/g, "'")),
        /evil|Remove-Item|;/,
        line,
      );
    }
    assert.equal(
      quoted(name)
        .slice(1, -1)
        .replaceAll(/(['\u2018-\u201b])\1/g, '$1'),
      name,
    );
  }
});

test('an account is named as local groups know it', () => {
  const denied = new Fault('WINRM_ACCESS_DENIED', declaredFaults.get('WINRM_ACCESS_DENIED')!, {});
  const memberOf = (user: string): string => powershellFor(denied, { user, host: 'hv1', tls: false })[0]!;
  assert.match(memberOf('ann@corp.example'), / -Member 'corp\.example\\ann'$/);
  assert.match(memberOf('CORP\\ann'), / -Member 'CORP\\ann'$/);
  assert.match(memberOf('ann'), / -Member 'ann'$/);
});

test('of a hundred names the first few are written out', () => {
  const names = Array.from({ length: 100 }, (_, index) => `vm${index}`);
  assert.equal(joinNames(names).split('\n').length, 5);
});
