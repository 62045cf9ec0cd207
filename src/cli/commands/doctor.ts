/**
 * `hvlift doctor host [host]` and `hvlift doctor repo`: everything a backup needs from a host, or a repository from the place it
 * is in; what was seen of it, and how to mend what is wrong.
 */
import type { Command } from '@commander-js/extra-typings';
import type { Finding, FindingState, Fix } from '../../doctor/index.ts';
import type { Task } from '../engine.ts';
import { EXIT, exitCodeOf, type ExitCode } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import { repoOption } from '../options.ts';
import type { Coloured } from '../output.ts';
import type { Runner, Session } from '../session.ts';
import { padEnd, wrapTo } from '../text-width.ts';

export function registerDoctor(program: Command, run: Runner): void {
  const doctor = program
    .command('doctor')
    .summary('look for what is in the way of backups, on a host or in a repository')
    .description(
      'What is in the way of backups, and how to mend it: `host` is what is meant without another word.',
    );
  registerHost(doctor as Command, run);
  registerRepo(doctor as Command, run);
}

function registerHost(doctor: Command, run: Runner): void {
  doctor
    .command('host', { isDefault: true })
    .summary('look at everything a backup needs from a host')
    .description(
      'Looks at everything a backup needs from a host: name, ports, certificate, clock, log-on, rights, services, versions, disk ' +
        'files, room, and what other runs left; of a cluster also the way to every other node, the log-on there and a disk file. Says ' +
        'how to mend what is wrong. Changes nothing on the host.',
    )
    .argument('[host]', 'the host (HVLIFT_HOST); default: the configured one')
    .action((name) =>
      run(async (session) => {
        const host = await session.host(name);
        await session.output.lines([`${host.name}: ${host.url} as ${host.user}`, '']);
        return tell(session, NOTHING_TO_CLEAN, 'nothing on the host was changed', (task) =>
          session.engine.diagnose(host, task),
        );
      }),
    );
}

const SCRATCH = {
  cleaning: 'removing what the checks stored',
  leftBehind: 'objects below probe/ may stay and can be removed',
};

function registerRepo(doctor: Command, run: Runner): void {
  doctor
    .command('repo')
    .summary('try what a repository needs from the place it is in')
    .description(
      'Tries what a repository needs from its folder, bucket or server, whether there is a repository yet or not: names that ' +
        'are given once, also to writers at the same time, whole packs, lists, deleting. It stores some 50 MiB below probe/ and ' +
        'removes them. Asks for no passphrase.',
    )
    .addOption(repoOption)
    .action((options) =>
      run(async (session) => {
        const repository = await session.repository(options);
        await session.output.lines([repository.path, '']);
        return tell(session, SCRATCH, 'nothing of the repository was changed', (task) =>
          session.engine.diagnoseRepository(repository, task),
        );
      }),
    );
}

async function tell(
  session: Session,
  texts: typeof SCRATCH,
  unchanged: string,
  look: (task: Task) => AsyncIterable<Finding>,
): Promise<ExitCode> {
  const findings: Finding[] = [];
  const code = await session.inParts('findings', (document, codes) =>
    session.perform(texts, async (task) => {
      for await (const finding of look(task)) {
        if (finding.node !== findings.at(-1)?.node)
          await session.output.lines(['', `node ${finding.node}:`, '']);
        findings.push(finding);
        codes.push(codeOf(finding));
        await document.item(itemOf(finding, session));
        await show(finding, session);
      }
    }),
  );
  await session.output.lines(['', ...wrapTo(`${summary(findings)}; ${unchanged}`, session.output.width)]);
  return code;
}

function codeOf({ state, error }: Finding): ExitCode {
  if (state === 'failed') return exitCodeOf(error);
  return state === 'warning' ? EXIT.warnings : EXIT.ok;
}

function itemOf({ error, ...finding }: Finding, session: Session): Readonly<Record<string, unknown>> {
  return error === undefined ? finding : { ...finding, error: session.report(error) };
}

const COLOURS: Readonly<Record<FindingState, Coloured['colour']>> = {
  ok: 'green',
  warning: 'yellow',
  failed: 'red',
  skipped: 'grey',
  unproved: 'yellow',
};
const STATE_CELLS = 'unproved'.length;
const TITLE_CELLS = 'log-on by certificate'.length;
const INDENT = ' '.repeat(STATE_CELLS + TITLE_CELLS + 4);
/** A narrower terminal gets lines of this, and wraps them itself. */
const TEXT_CELLS_MIN = 30;

async function show({ state, title, seen, code, fix }: Finding, { output }: Session): Promise<void> {
  const cells = Math.max(TEXT_CELLS_MIN, output.width - INDENT.length);
  const [first = '', ...rest] = wrapTo(code === undefined ? seen : `${seen} (${code})`, cells);
  const word = { colour: COLOURS[state], text: padEnd(state, STATE_CELLS) };
  await output.colouredLine([word, '  ', padEnd(title, TITLE_CELLS), '  ', first]);
  await output.lines(rest.map((line) => INDENT + line));
  if (fix) await showFix(fix, cells, { output });
}

/** Lines to paste begin at the left and are never broken. */
async function showFix(
  { text, powershell }: Fix,
  cells: number,
  { output }: Pick<Session, 'output'>,
): Promise<void> {
  await output.lines(wrapTo(`do: ${text}`, cells).map((line) => INDENT + line));
  for (const line of powershell) await output.colouredLine(['    ', { colour: 'grey', text: line }]);
}

const ORDER: readonly FindingState[] = ['failed', 'warning', 'unproved', 'skipped', 'ok'];

function summary(findings: readonly Finding[]): string {
  const counts = ORDER.map(
    (state) => [state, findings.filter((each) => each.state === state).length] as const,
  );
  const told = counts.filter(([, number]) => number > 0).map(([state, number]) => `${number} ${state}`);
  return `${count(findings.length, 'finding')}: ${told.join(', ')}`;
}
