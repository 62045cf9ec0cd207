/**
 * A secret in memory: it shows as `***` wherever a value is shown by accident (templates, JSON, `console.log`, inspection of
 * an object that holds it). Only {@link Secret.reveal} gives the text; call it where the text is used and keep no copy.
 */
import { inspect } from 'node:util';

export const HIDDEN = '***';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}

/**
 * Every secret a run has resolved, so that the last step before a message leaves can take them out of it. Faults hold no
 * secret by construction; this catches what other people's exceptions quote.
 */
export class SecretLog {
  readonly #known = new Set<string>();

  add(secret: Secret): Secret {
    // Under 4 characters the replacement would tear words apart and tell more than it hides.
    if (secret.reveal().length >= 4) this.#known.add(secret.reveal());
    return secret;
  }

  scrub(text: string): string {
    let clean = text;
    for (const secret of this.#known) clean = clean.replaceAll(secret, HIDDEN);
    return clean;
  }
}
