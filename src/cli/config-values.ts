/** What single values of the configuration look like. Apart from the schema, so that options are checked without loading it. */

/** Names cannot be mistaken for paths, options or several words. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** More than any host is backed up with; a slip of the keyboard must not open a thousand checkpoints. */
export const VMS_AT_ONCE_MAX = 64;

/** WinRM connections to one host. Windows lets an account have 1500 operations; more than these only wait for its WMI. */
export const SESSIONS_MAX = 8;

/** A share of a server, or a folder below one. */
export const SHARE_PATTERN = /^\\\\[^\\/?.][^\\/]*\\[^\\/]+/;

/** What `ssh-keygen -lf` prints. */
export const FINGERPRINT_PATTERN = /^SHA256:[A-Za-z0-9+/]{43}=?$/;

/** Why `url` cannot be the address of a host; never quotes it, because it may hold a password. */
export function urlProblem(url: string): string | undefined {
  if (!URL.canParse(url)) return 'must be a URL such as http://hv1.example.com:5985/wsman';
  const { protocol, username, password, search, hash } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') return 'must begin with http:// or https://';
  if (username !== '' || password !== '') {
    return 'must not hold a user or a password: write `user`, and passwordFile or passwordEnv';
  }
  return search === '' && hash === '' ? undefined : 'must end after the path';
}

/** The address with the port and the path Windows listens on, where they were left out. */
export function fullUrl(url: string): string {
  const parsed = new URL(url);
  // URL drops a port that is the scheme's default, so one that was written is looked for in the text.
  const port =
    /^[^/]*\/\/(?:\[[^\]]*\]|[^/:]*):(\d+)/.exec(url)?.[1] ??
    (parsed.protocol === 'https:' ? '5986' : '5985');
  const path = parsed.pathname === '/' ? '/wsman' : parsed.pathname;
  return `${parsed.protocol}//${parsed.hostname}:${port}${path}`;
}

/** The name or address in a URL, without the brackets of IPv6. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}
