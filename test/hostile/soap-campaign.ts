/** SOAP envelopes, from the bytes that came out of the sealing to typed instances, pages and faults. */
import assert from 'node:assert/strict';
import * as computerSystem from '../../src/hyperv/classes/computer-system.ts';
import * as imageService from '../../src/hyperv/classes/image-service.ts';
import * as job from '../../src/hyperv/classes/job.ts';
import * as referencePoint from '../../src/hyperv/classes/reference-point.ts';
import * as settings from '../../src/hyperv/classes/settings.ts';
import * as snapshotService from '../../src/hyperv/classes/snapshot-service.ts';
import { decodeInstance, decodeOutput, type CimClass, type XmlElement } from '../../src/winrm/index.ts';
import { decodeText } from '../../src/winrm/http/charset.ts';
import { readPage } from '../../src/winrm/soap/enumeration.ts';
import { checkRelation, readEnvelope } from '../../src/winrm/soap/envelope.ts';
import { readIdentity } from '../../src/winrm/soap/identify.ts';
import { faultFrom } from '../../src/winrm/soap/soap-fault.ts';
import type { Random } from '../../lab/model/random.ts';
import { outcomeOf, type Attack, type Campaign } from './campaign.ts';
import { recordedEnvelopes } from './exchanges.ts';
import { damagedXml, XML_BYTES_MAX } from './xml-damage.ts';

export const soapCampaign: Campaign = {
  name: 'SOAP',
  allocationBytesMax: XML_BYTES_MAX,
  meets: ['read', 'WINRM_PROTOCOL_BROKEN', 'WINRM_BAD_EMBEDDED', 'WINRM_BAD_OBJECT_PATH'],
  async start(): Promise<Attack> {
    const envelopes = (await recordedEnvelopes()).map((xml) => ({ xml, messageId: relatesTo(xml) }));
    return (random: Random) => {
      const { xml, messageId } = envelopes[random.below(envelopes.length)]!;
      const bytes = damagedXml(xml, random);
      return outcomeOf(() => readAnswer(decodeText(bytes, 'UTF-8'), messageId));
    };
  },
};

function relatesTo(xml: string): string {
  return readEnvelope(xml).relatesTo ?? '';
}

const CLASSES = [computerSystem, imageService, job, referencePoint, settings, snapshotService]
  .flatMap((module): unknown[] => Object.values(module))
  .map((each) =>
    typeof each === 'function' ? (each as typeof job.jobClass)('Msvm_ConcreteJob') : (each as CimClass),
  );
const BY_NAME = new Map(CLASSES.map((cls) => [cls.name, cls]));
const BY_METHOD = new Map(CLASSES.flatMap((cls) => Object.keys(cls.methods).map((method) => [method, cls])));

const CONTEXT = { host: 'h', user: 'u', resource: 'r', seconds: 60, limitBytes: 512_000 };

/** What a client does with the answer, told by what it holds. */
function readAnswer(xml: string, messageId: string): void {
  const reply = readEnvelope(xml);
  checkRelation(reply, messageId);
  // The host's own verdict, whatever it says: also that our request was wrong.
  if (reply.fault) return assert.ok(faultFrom(reply.fault, CONTEXT).message);
  const { content } = reply;
  if (!content || content.name === 'IdentifyResponse') return void readIdentity(xml);
  const [, method] = /^(\w+)_OUTPUT$/.exec(content.name) ?? [];
  if (method)
    decodeOutput(BY_METHOD.get(method) ?? imageService.Msvm_ImageManagementService, method as never, content);
  else if (content.name.endsWith('Response')) readPage(content, 'uuid:1').items.forEach(decode);
  else decode(content);
}

function decode(element: XmlElement): void {
  const cls = BY_NAME.get(element.name) ?? BY_NAME.get('Msvm_ConcreteJob')!;
  decodeInstance(cls, element);
}
