/** Names of objects: the same on every store, file system and operating system, so a repository can be copied anywhere. */
import { storeFaults } from './faults.ts';

const NAME_LENGTH_MAX = 200;
/** Starts with a letter or a digit: `..`, `.hidden` and the store's own `.incoming` are no names. No final dot: Windows drops it. */
const SEGMENT = /^[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?$/;
/** Devices of Windows, with or without an extension. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/;
const PREFIX = /^(?:[a-z0-9][a-z0-9._-]*(?:\/|$))*$/;

export function isNameSegment(text: string): boolean {
  return SEGMENT.test(text) && !DEVICE.test(text);
}

/** Where each writer has a folder of its own, with a name that no other will ever have. */
const SINGLE_USE = /^(sessions\/[^/]+)\/[^/]+$/;

/**
 * The folder of an object that goes with its last object. A session registers in a folder of its own: if those stayed, there would be
 * one more with each command, in a store that has folders. Folders that several writers share stay: one of them may count
 * on the name of a folder being durable, and another would take that away.
 */
export function singleUseFolder(name: string): string | undefined {
  return SINGLE_USE.exec(name)?.[1];
}

/** Throws `STORE_NAME_INVALID`, so that no name ever leaves the store's folder. */
export function checkName(name: string): void {
  if (name.length > NAME_LENGTH_MAX || !name.split('/').every(isNameSegment)) {
    throw storeFaults.nameInvalid({ name });
  }
}

/** A prefix is the beginning of a name, or empty: then it means every object. */
export function checkPrefix(prefix: string): void {
  if (prefix.length > NAME_LENGTH_MAX || !PREFIX.test(prefix))
    throw storeFaults.nameInvalid({ name: prefix });
}
