/** Requests whose answer is either what was asked for or a status that says why not. */
import type { Fault } from '../base/index.ts';
import type { Answer, SftpChannel } from './channel.ts';
import { sftpFaults } from './faults.ts';
import { ANSWER, STATUS, STATUS_NAMES, type RequestName } from './format.ts';
import { Malformed, readStatus, type Status } from './message.ts';

export class SftpRequests {
  readonly #host: string;
  readonly #user: string;
  readonly #channel: SftpChannel;

  constructor({ host, user }: { readonly host: string; readonly user: string }, channel: SftpChannel) {
    this.#host = host;
    this.#user = user;
    this.#channel = channel;
  }

  /** The body of the answer, when it is of type `wanted`. Throws `SFTP_NOT_FOUND`, `SFTP_ACCESS_DENIED`, `SFTP_SERVER_FAILED`. */
  async demand(
    command: RequestName,
    path: string,
    wanted: number,
    write: (id: number) => Buffer,
    signal?: AbortSignal,
  ): Promise<Buffer> {
    const answer = await this.#channel.request(command, write, signal);
    if (answer.type === wanted) return answer.body;
    const { code, text } = this.status(answer, command);
    throw this.statusFault(code, text, command, path);
  }

  /** For requests that have nothing to answer but that it was done. Throws as `demand`. */
  async perform(
    command: RequestName,
    path: string,
    write: (id: number) => Buffer,
    signal?: AbortSignal,
  ): Promise<void> {
    const { code, text } = this.status(await this.#channel.request(command, write, signal), command);
    if (code !== STATUS.OK) throw this.statusFault(code, text, command, path);
  }

  status({ type, body }: Answer, command: RequestName): Status {
    return this.parse(() => {
      if (type !== ANSWER.STATUS) throw new Malformed(`an answer of type ${type} to ${command}`);
      return readStatus(body);
    });
  }

  statusFault(code: number, text: string, command: RequestName, path: string): Fault {
    const host = this.#host;
    if (code === STATUS.OK)
      return this.#channel.broken(new Malformed(`success without a result for ${command}`));
    if (code === STATUS.NO_SUCH_FILE) return sftpFaults.notFound({ host, path });
    if (code === STATUS.PERMISSION_DENIED) return sftpFaults.accessDenied({ host, path, user: this.#user });
    const reason = text || STATUS_NAMES[code] || `status ${code}`;
    return sftpFaults.serverFailed({ host, path, command, reason });
  }

  parse<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#channel.broken(error);
    }
  }
}
