/** Whether a host key seen for the first time is the host's: only a person at a terminal can say, so scripts are not asked. */
import type { HostKeyOffer } from '../ssh/index.ts';
import type { CliIo } from './io.ts';
import type { Output } from './output.ts';
import { canPrompt, promptShown } from './prompt.ts';

export type HostKeyQuestion = (offer: HostKeyOffer) => Promise<boolean>;

/** Undefined where nobody can answer. */
export function hostKeyQuestion({ stdin, interrupts }: CliIo, output: Output): HostKeyQuestion | undefined {
  if (!canPrompt(stdin)) return undefined;
  return async ({ host, type, fingerprint }) => {
    output.say(`${host} is not in the file of known host keys. It shows ${type} ${fingerprint}`);
    output.say(
      'Compare this with what `ssh-keygen -lf` says on the host itself: whoever stands in between shows another.',
    );
    const answer = await promptShown('Is it the key of the host, to be remembered? (yes/no) ', {
      stdin,
      ask: (text) => output.ask(text),
      onInterrupt: () => interrupts.press(),
      signal: interrupts.signal,
    });
    return answer.trim().toLowerCase() === 'yes';
  };
}
