/** A connection to a server with one SFTP channel on it; when one of them breaks, so does the other. */
import type { Fault } from '../base/index.ts';
import type { SshConnection, SshServer } from '../ssh/index.ts';
import { SftpChannel } from './channel.ts';

export interface OpenChannel {
  readonly connection: SshConnection;
  readonly channel: SftpChannel;
}

/** Throws the faults of a log-on by SSH, `SSH_SUBSYSTEM_REFUSED`, `SFTP_TIMED_OUT`, `SFTP_PROTOCOL_BROKEN`. */
export async function openChannel(server: SshServer, signal: AbortSignal): Promise<OpenChannel> {
  const connection = await server.connect(signal);
  try {
    const stream = await connection.subsystem('sftp', signal);
    const { host, answerTimeoutMs } = server.target;
    const onFailure = (fault: Fault): void => connection.fail(fault);
    const channel = new SftpChannel(stream, { host, answerTimeoutMs, onFailure });
    connection.ended.addEventListener('abort', () => channel.fail(connection.ended.reason as Fault));
    await channel.start();
    return { connection, channel };
  } catch (error) {
    connection.close();
    throw error;
  }
}
