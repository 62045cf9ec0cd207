/** Instances of jobs, of what they affect, and of the errors they end in. As get_response_storagejob_*.xml shows them. */
import type { LabInstance } from '../cim.ts';
import type { HostCore } from './core.ts';
import { JOB_STATE, type Job } from './jobs.ts';
import { NEVER } from './system-rows.ts';
import { textsOf } from './texts.ts';

/** ElementEffects: 0 unknown (what the job works on), 5 create. */
const WORKS_ON = 0;
const CREATED = 5;

export function jobRow(core: HostCore, job: Job): LabInstance {
  const texts = textsOf(core.options.language);
  const title = texts.jobs[job.request.type] ?? texts.vmCaption;
  const ended = job.finishedAt !== undefined;
  const failed = job.errorCode !== 0;
  const status = failed ? texts.jobFailed : ended ? texts.jobCompleted : texts.jobRunning;
  return {
    className: 'Msvm_ConcreteJob',
    properties: {
      Cancellable: true,
      Caption: title,
      DeleteOnCompletion: false,
      Description: title,
      ElapsedTime: { intervalSeconds: ((job.finishedAt ?? core.clock.now()) - job.submittedAt) / 1000 },
      ElementName: title,
      ErrorCode: job.errorCode,
      ErrorDescription: failed ? `${texts.operationFailed} ${job.errorText}` : '',
      ErrorSummaryDescription: failed ? texts.operationFailed : '',
      HealthState: 5,
      InstallDate: NEVER,
      InstanceID: job.id,
      JobRunTimes: 1,
      JobState: job.state,
      JobStatus: status,
      JobType: job.request.type,
      LocalOrUtcTime: 2,
      Name: title,
      Notify: '',
      OperationalStatus: ended && !failed ? [17, 2] : [2],
      OtherRecoveryAction: '',
      Owner: job.request.owner,
      PercentComplete: ended && !failed ? 100 : 0,
      Priority: 0,
      RecoveryAction: 2,
      ScheduledStartTime: wholeSeconds(job.submittedAt),
      StartTime: wholeSeconds(job.submittedAt),
      Status: 'OK',
      StatusDescriptions: ended && !failed ? [texts.jobCompleted, texts.jobSucceeded] : [status],
      TimeBeforeRemoval: { intervalSeconds: Math.round(core.options.jobRemovalMs / 1000) },
      TimeOfLastStateChange: wholeSeconds(job.finishedAt ?? job.submittedAt),
      TimeSubmitted: wholeSeconds(job.submittedAt),
    },
  };
}

function wholeSeconds(milliseconds: number): Date {
  return new Date(Math.floor(milliseconds / 1000) * 1000);
}

/** Rows of all jobs stand in one table; the row of what a job created appears when it has completed. */
export function affectedRows(job: Job): LabInstance[] {
  const row = (element: Job['path'], effect: number): LabInstance => ({
    className: 'Msvm_AffectedJobElement',
    properties: { AffectedElement: element, AffectingElement: job.path, ElementEffects: [effect] },
  });
  const completed = job.state === JOB_STATE.completed || job.state === JOB_STATE.warned;
  return [
    row(job.request.affected, WORKS_ON),
    ...(completed && job.created ? [row(job.created, CREATED)] : []),
  ];
}

/** `undefined` while there is no error to tell. */
export function errorOf(core: HostCore, job: Job): LabInstance | undefined {
  if (job.errorCode === 0) return undefined;
  const texts = textsOf(core.options.language);
  return {
    className: 'Msvm_Error',
    properties: {
      CIMStatusCode: 1,
      CIMStatusCodeDescription: texts.operationFailed,
      ErrorType: 4,
      Message: `${texts.operationFailed} ${job.errorText}`,
      MessageID: String(job.errorCode),
      OwningEntity: 'Microsoft-Windows-Hyper-V-VMMS',
      PerceivedSeverity: 3,
      ProbableCause: 1,
    },
  };
}
