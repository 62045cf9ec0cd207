/** Jobs and the errors they carry. Property lists as recorded (get_response_storagejob_*). */
import { JOB_CHAIN, managedProperties, systemElementProperties } from './ancestry.ts';
import { labClass, method, type PropertyTable } from './class-table.ts';

const jobProperties: PropertyTable = {
  boolean: 'Cancellable DeleteOnCompletion',
  datetime:
    'ElapsedTime RunStartInterval ScheduledStartTime StartTime TimeBeforeRemoval TimeOfLastStateChange TimeSubmitted UntilTime',
  sint8: 'RunDay RunDayOfWeek',
  string: 'ErrorDescription ErrorSummaryDescription JobStatus Notify OtherRecoveryAction Owner',
  uint16: 'ErrorCode JobState JobType LocalOrUtcTime PercentComplete RecoveryAction',
  uint32: 'JobRunTimes Priority',
  uint8: 'RunMonth',
};

const jobMethods = {
  GetError: method({}, { embedded: 'Error' }),
  GetErrorEx: method({}, { 'embedded[]': 'Errors' }),
  RequestStateChange: method({ uint16: 'RequestedState', datetime: 'TimeoutPeriod' }),
};

export const concreteJob = labClass('Msvm_ConcreteJob', {
  isA: JOB_CHAIN,
  keys: 'InstanceID',
  properties: [managedProperties, systemElementProperties, jobProperties],
  methods: jobMethods,
});

export const storageJob = labClass('Msvm_StorageJob', {
  isA: JOB_CHAIN,
  keys: 'InstanceID',
  properties: [
    managedProperties,
    systemElementProperties,
    jobProperties,
    { string: 'Child Parent', uint32: 'JobCompletionStatusCode' },
  ],
  methods: jobMethods,
});

export const msvmError = labClass('Msvm_Error', {
  isA: ['CIM_Error'],
  properties: [
    {
      string:
        'CIMStatusCodeDescription ErrorSource Message MessageID OtherErrorSourceFormat OtherErrorType OwningEntity ProbableCauseDescription',
      'string[]': 'MessageArguments RecommendedActions',
      uint16: 'ErrorSourceFormat ErrorType PerceivedSeverity ProbableCause',
      uint32: 'CIMStatusCode',
    },
  ],
});
