/** Localised texts. The Japanese ones of jobs and systems are those of the recorded host; the others say the same. */
import type { LabOptions } from './options.ts';

export interface Texts {
  readonly hostCaption: string;
  readonly hostDescription: string;
  readonly vmCaption: string;
  readonly operatingNormally: string;
  readonly noContact: string;
  readonly jobRunning: string;
  readonly jobCompleted: string;
  readonly jobSucceeded: string;
  readonly jobFailed: string;
  readonly operationFailed: string;
  /** By OperationalStatus[1]. */
  readonly busy: Readonly<Record<number, string>>;
  /** By JobType. */
  readonly jobs: Readonly<Record<number, string>>;
}

const JAPANESE: Texts = {
  hostCaption: 'ホスト コンピューター システム',
  hostDescription: 'Microsoft ホスト コンピューター システム',
  vmCaption: '仮想マシン',
  operatingNormally: '正常稼働中',
  noContact: '通信なし',
  jobRunning: 'ジョブは実行中です',
  jobCompleted: 'ジョブは完了しました',
  jobSucceeded: 'ジョブは正常に完了しました',
  jobFailed: 'ジョブの実行中にエラーが発生しました',
  operationFailed: '操作に失敗しました。',
  busy: {
    32768: 'チェックポイントを作成中',
    32769: 'チェックポイントを適用中',
    32770: 'チェックポイントを削除中',
    32772: 'ディスクを結合中',
  },
  jobs: {
    1: '仮想マシンの定義',
    2: '仮想マシンの変更',
    12: '仮想マシンの起動',
    13: '仮想マシンの電源オフ',
    14: '仮想マシンの保存',
    26: '仮想マシンの一時停止',
    28: '仮想マシンのリセット',
    70: '仮想マシンのスナップショット',
    71: '仮想マシンのスナップショットの適用',
    72: '仮想マシンのスナップショットの削除',
    200: 'スナップショットから参照ポイントへの変換',
    202: '参照ポイントの削除',
  },
};

const ENGLISH: Texts = {
  hostCaption: 'Hosting Computer System',
  hostDescription: 'Microsoft Hosting Computer System',
  vmCaption: 'Virtual Machine',
  operatingNormally: 'Operating normally',
  noContact: 'No Contact',
  jobRunning: 'Job is running',
  jobCompleted: 'Job is completed',
  jobSucceeded: 'Job completed successfully',
  jobFailed: 'Job ended with an error',
  operationFailed: 'The operation failed.',
  busy: {
    32768: 'Creating Checkpoint',
    32769: 'Applying Checkpoint',
    32770: 'Deleting Checkpoint',
    32772: 'Merging Disks',
  },
  jobs: {
    1: 'Define Virtual Machine',
    2: 'Modify Virtual Machine',
    12: 'Start Virtual Machine',
    13: 'Power Off Virtual Machine',
    14: 'Save Virtual Machine',
    26: 'Pause Virtual Machine',
    28: 'Reset Virtual Machine',
    70: 'Snapshot Virtual Machine',
    71: 'Apply Virtual Machine Snapshot',
    72: 'Delete Virtual Machine Snapshot',
    200: 'Convert Snapshot to Reference Point',
    202: 'Delete Reference Point',
  },
};

export function textsOf(language: LabOptions['language']): Texts {
  return language === 'ja-JP' ? JAPANESE : ENGLISH;
}
