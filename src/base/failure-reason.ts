/** Why the network or the file system of this machine refused, in words, with the code that people look for. */
const WORDS: Readonly<Record<string, string>> = {
  EACCES: 'this account may not',
  EAI_AGAIN: 'the name server does not answer',
  ECONNREFUSED: 'nothing listens there, or a firewall refuses',
  ECONNRESET: 'the other side broke it off',
  EHOSTUNREACH: 'no way leads there',
  EISDIR: 'it is a folder',
  ENETUNREACH: 'no way leads there',
  ENOENT: 'there is no such file',
  ENOTFOUND: 'this name is not known here',
  EPIPE: 'the other side broke it off',
  ERR_SSL_WRONG_VERSION_NUMBER: 'what listens there does not speak TLS',
  ETIMEDOUT: 'no answer',
};

export function failureReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const words = code === undefined ? undefined : WORDS[code];
  return words === undefined ? (code ?? message) : `${words} (${code})`;
}
