/** Jobs, and what they made. */
import { cimClass } from '../../winrm/index.ts';

/** The class of a job is the one in the reference the host returned: asking another one for it finds nothing. */
export const jobClass = (name: string) =>
  cimClass(name, {
    properties: {
      InstanceID: 'string key',
      JobState: 'uint16',
      ErrorCode: 'uint16',
      ErrorDescription: 'string',
      ErrorSummaryDescription: 'string',
      Cancellable: 'boolean',
    },
    methods: { RequestStateChange: { input: { RequestedState: 'uint16' }, output: {} } },
  });

/** Which element a job touched (`AffectedElement`), and how: 5 means it created it. */
export const Msvm_AffectedJobElement = cimClass('Msvm_AffectedJobElement', {
  properties: { AffectedElement: 'ref', AffectingElement: 'ref', ElementEffects: 'uint16[]' },
});
