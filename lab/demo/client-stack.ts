/** What backs the host up: hvlift as it is used, with a WinRM session, readers of host files and a repository. */
import { readFile } from 'node:fs/promises';
import { createHyperVSource, type Source } from '../../src/capture/index.ts';
import { backupVm, type BackupRecord } from '../../src/flows/index.ts';
import { createFsHostFiles } from '../../src/hostfile/index.ts';
import { createHyperV, type HyperV } from '../../src/hyperv/index.ts';
import { openDirectoryStore } from '../../src/objectstore/index.ts';
import { createRepository, type Repository } from '../../src/repository/index.ts';
import { openWinrm } from '../../src/winrm/index.ts';
import type { LabAddress } from '../control/index.ts';

export class ClientStack implements AsyncDisposable {
  readonly repository: Repository;
  readonly #hyperv: HyperV;
  readonly #source: Source;
  readonly #parts: AsyncDisposableStack;

  private constructor(repository: Repository, hyperv: HyperV, source: Source, parts: AsyncDisposableStack) {
    this.repository = repository;
    this.#hyperv = hyperv;
    this.#source = source;
    this.#parts = parts;
  }

  /** Logs on to the host and makes an encrypted repository in `folder`. */
  static async open(address: LabAddress, folder: string): Promise<ClientStack> {
    await using parts = new AsyncDisposableStack();
    const password = (await readFile(address.passwordFile, 'utf8')).trim();
    const session = await openWinrm({ url: address.url, credentials: { user: address.user, password } });
    parts.defer(() => session.close());
    const files = createFsHostFiles({ mappings: address.mappings });
    parts.defer(() => files.close());
    const store = await openDirectoryStore(folder, { create: true });
    const { repository } = await createRepository(store, {
      encryption: { passphrase: 'only for this demo' },
    });
    parts.use(repository);
    const hyperv = createHyperV(session);
    const source = createHyperVSource({ hyperv, files, hostName: 'HV01' });
    return new ClientStack(repository, hyperv, source, parts.move());
  }

  backup(vm: string): Promise<BackupRecord> {
    const resolveVm = (name: string, options: Parameters<HyperV['vm']>[1]): ReturnType<HyperV['vm']> =>
      this.#hyperv.vm(name, options);
    return backupVm({ source: this.#source, repository: this.repository, resolveVm }, { vm });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.disposeAsync();
  }
}
