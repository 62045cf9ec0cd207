/** `hvlift doctor [host]`: everything a backup needs from a host, what was seen of it, and how to mend what is wrong. */
import type { Command } from '@commander-js/extra-typings';
import type { Finding, FindingState, Fix } from '../../doctor/index.ts';
import { EXIT, exitCodeOf, type ExitCode } from '../exit-code.ts';
import { NOTHING_TO_CLEAN } from '../interrupts.ts';
import { count } from '../numbers.ts';
import type { Coloured } from '../output.ts';
import type { Runner, Session } from '../session.ts';
import { padEnd, wrapTo } from '../text-width.ts';

export function registerDoctor(program: Command, run: Runner): void {
  program
    .command('doctor')
    .summary('look at everything a backup needs from a host')
    .description(
      'Looks at everything a backup needs from a host: name, ports, certificate, clock, log-on, rights, services, versions, disk ' +
        'files, room, and what other runs left; and says how to mend what is wrong. Changes nothing on the host.',
    )
    .argument('[host]', 'the host (HVLIFT_HOST); default: the configured one')
    .action((name) =>
      run(async (session) => {
        const host = await session.host(name);
        await session.output.lines([`${host.name}: ${host.url} as ${host.user}`, '']);
        const findings: Finding[] = [];
        const code = await session.inParts('findings', (document, codes) =>
          session.perform(NOTHING_TO_CLEAN, async (task) => {
            for await (const finding of session.engine.diagnose(host, task)) {
              findings.push(finding);
              codes.push(codeOf(finding));
              await document.item(itemOf(finding, session));
              await show(finding, session);
            }
          }),
        );
        await session.output.lines(['', ...wrapTo(summary(findings), session.output.width)]);
        return code;
      }),
    );
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
  return `${count(findings.length, 'finding')}: ${told.join(', ')}; nothing on the host was changed`;
}
