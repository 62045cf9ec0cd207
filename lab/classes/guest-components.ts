/** What the host knows of the guest's integration services. */
import { DEVICE_KEYS, LOGICAL_DEVICE, deviceProperties } from './ancestry.ts';
import { labClass, method } from './class-table.ts';

const component = { isA: LOGICAL_DEVICE, keys: DEVICE_KEYS, properties: deviceProperties };
const shutDown = method({ boolean: 'Force', string: 'Reason' });

export const vssComponent = labClass('Msvm_VssComponent', component);

export const kvpExchangeComponent = labClass('Msvm_KvpExchangeComponent', {
  ...component,
  properties: [...deviceProperties, { 'string[]': 'GuestExchangeItems GuestIntrinsicExchangeItems' }],
});

export const shutdownComponent = labClass('Msvm_ShutdownComponent', {
  ...component,
  methods: { InitiateShutdown: shutDown, InitiateReboot: shutDown },
});
