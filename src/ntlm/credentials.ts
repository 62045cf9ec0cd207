/** Who logs on. The password stays inside: it is in no message, no JSON, no inspection. */
export class Credentials {
  /** As the user wrote it, for messages. */
  readonly name: string;
  readonly user: string;
  /** Empty for `user@domain` and for a bare name: the host then looks at its own accounts and its domain. */
  readonly domain: string;
  readonly #password: string | (() => Promise<string>);

  constructor(name: string, password: string | (() => Promise<string>)) {
    const [before, after] = splitOnce(name, '\\');
    this.name = name;
    this.user = after ?? name;
    // `.\name` means "of the host": a domain called "." does not exist there.
    this.domain = after === undefined || before === '.' ? '' : before;
    this.#password = password;
  }

  /** Asked for at each log-on, so that a changed secret is found and none is kept here. */
  async password(): Promise<string> {
    return typeof this.#password === 'string' ? this.#password : await this.#password();
  }

  toJSON(): { user: string } {
    return { user: this.name };
  }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
