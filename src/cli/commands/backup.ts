/** `hvlift backup VM...`: a restore point of each VM, full or incremental, disk by disk. */
import { Option, type Command } from '@commander-js/extra-typings';
import { CONSISTENCIES, type BackupRequest } from '../engine.ts';
import { exitCodeOfOutcome, type ExitCode } from '../exit-code.ts';
import type { JsonDocument } from '../json-document.ts';
import {
  collect,
  collectList,
  hostOption,
  passphraseFileOption,
  recoveryKeyFileOption,
  repoOption,
} from '../options.ts';
import type { Runner, Session } from '../session.ts';
import { plan } from './backup-plan.ts';
import { jsonRecord, show, summaryLines, summaryRow } from './backup-report.ts';
import {
  amount,
  backupRequest,
  chainFiles,
  consumerName,
  foldAmount,
  milliseconds,
  rate,
  vmsAtOnce,
} from './backup-request.ts';

const TEXTS = {
  cleaning:
    'removing the recovery checkpoint of this run and dropping what it stored without a restore point',
  leftBehind:
    'a recovery checkpoint may stay on the host and its AVHDX grows until the next backup of the VM removes it',
};

export function registerBackup(program: Command, run: Runner): void {
  program
    .command('backup')
    .summary('back up VMs')
    .description(
      'Makes a restore point of each VM. Where the host can tell what changed since the last one, only that is read. ' +
        'A VM that fails does not stop the others.',
    )
    .argument('[vm...]', 'VMs by name, id or pattern (web*)')
    .addOption(repoOption)
    .addOption(hostOption)
    .addOption(
      new Option('--tag <tag>', 'VMs with the word #hvlift:TAG in their notes; may be repeated').argParser(
        collect,
      ),
    )
    .addOption(new Option('--all', 'every VM of the host or cluster'))
    .addOption(
      new Option('--except <vm>', 'not this one: a name, id, pattern or #TAG; may be repeated').argParser(
        collect,
      ),
    )
    .addOption(
      new Option(
        '--dry-run',
        'show what would be done with each VM and why, and what stands in the way; changes nothing',
      ),
    )
    .addOption(new Option('--full', 'read every disk whole'))
    .addOption(
      new Option(
        '--consistency <level>',
        'what the guest must be asked for; default: application-preferred',
      ).choices(CONSISTENCIES),
    )
    .addOption(
      new Option(
        '--truncate-logs',
        'let applications in the guest truncate their logs; default: a copy, which does not',
      ),
    )
    .addOption(
      new Option(
        '--consumer <name>',
        'use and renew the baselines of this policy, beside those of others',
      ).argParser(consumerName),
    )
    .addOption(
      new Option(
        '--skip-unprotectable',
        'leave out disks that cannot be backed up (pass-through, shared, VHD set) instead of refusing the VM',
      ),
    )
    .addOption(
      new Option(
        '--skip-disk <disk>',
        'leave out this disk: its number in --dry-run, its id or its file name; may be repeated',
      ).argParser(collectList),
    )
    .addOption(
      new Option('--only-disk <disk>', 'back up this disk and no other; may be repeated').argParser(
        collectList,
      ),
    )
    .addOption(
      new Option(
        '--max-chain <files>',
        'refuse a VM with a disk that lies on a longer chain of files; default: 25',
      ).argParser(chainFiles),
    )
    .addOption(
      new Option(
        '--checkpoint-budget <amount>',
        'give up a run whose checkpoint takes more on a volume: a size, a percentage of what was free, or off; default: 50%',
      ).argParser(amount),
    )
    .addOption(
      new Option(
        '--audit <amount>',
        'how much that the host did not report is compared in an increment: a size, a percentage or off; default: 0.1% of each disk, at least 64 MiB',
      ).argParser(amount),
    )
    .addOption(
      new Option(
        '--fold <amount>',
        'how much is stored beyond what changed, so that a restore reads whole slots: a size, a percentage of what changed or off; default: 5%',
      ).argParser(foldAmount),
    )
    .addOption(new Option('--parallel <vms>', 'VMs at once; default: 4').argParser(vmsAtOnce))
    .addOption(new Option('--per-host <vms>', 'of them on one host; default: 4').argParser(vmsAtOnce))
    .addOption(
      new Option('--per-volume <vms>', 'of them with disks on one volume; default: 2').argParser(vmsAtOnce),
    )
    .addOption(
      new Option('--rate <size>', 'read at most this much a second from all hosts, such as 200MiB').argParser(
        rate,
      ),
    )
    .addOption(
      new Option(
        '--max-latency <ms>',
        'read less of a volume while its reads take longer than this',
      ).argParser(milliseconds),
    )
    .addOption(passphraseFileOption)
    .addOption(recoveryKeyFileOption)
    .action((vms, options) =>
      run(async (session) => {
        const file = await session.config();
        const request = backupRequest(vms, options, file.config, session.accessBy(file));
        if (options.dryRun)
          return session.inParts('vms', (document, codes) => plan(session, request, document, codes));
        return session.inParts('runs', (document, codes) => backup(session, request, document, codes));
      }),
    );
}

async function backup(
  session: Session,
  request: BackupRequest,
  document: JsonDocument,
  codes: ExitCode[],
): Promise<void> {
  const rows: ReturnType<typeof summaryRow>[] = [];
  await session.perform(TEXTS, async (task, endPhase) => {
    try {
      for await (const record of session.engine.backup(request, task)) {
        if (isOne(request)) endPhase();
        codes.push(exitCodeOfOutcome(record));
        rows.push(summaryRow(record, session));
        await document.item(jsonRecord(record, session));
        await show(record, session);
      }
    } finally {
      endPhase();
      if (rows.length > 1) await session.output.lines(summaryLines(rows, session.output.width));
    }
  });
}

/** Then the progress of the run is that of the VM, and ends with it. */
function isOne({ vms, all }: BackupRequest): boolean {
  return vms.length === 1 && !all && !/^#|[*?]/.test(vms[0]!);
}
