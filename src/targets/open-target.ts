/** A target by its address: `dir:/path[?format=raw|vhdx]`, or what NBD has for an address with `{n}` or `{id}` in it. */
import { isAbsolute, resolve } from 'node:path';
import { targetFaults } from './faults.ts';
import { FolderTarget, IMAGE_KINDS, type ImageKind } from './folder-target.ts';
import { NbdTarget } from './nbd-target.ts';
import type { Target } from './port.ts';

/** Touches nothing. Throws `TARGET_ADDRESS_INVALID`, `NBD_ADDRESS_INVALID`. */
export function openTarget(address: string): Target {
  if (/^nbds?(\+unix)?:/.test(address)) return new NbdTarget(address);
  const [, path, query] = /^dir:([^?]+)(?:\?(.*))?$/s.exec(address) ?? [];
  if (path === undefined) throw invalid(address, 'it begins with neither dir: nor nbd: nor nbds:');
  if (!isAbsolute(path)) throw invalid(address, 'the path of the folder is not absolute');
  return new FolderTarget(resolve(path), imageKind(address, query));
}

function imageKind(address: string, query: string | undefined): ImageKind {
  if (query === undefined) return 'raw';
  const kind = IMAGE_KINDS.find((each) => query === `format=${each}`);
  if (!kind) throw invalid(address, `after the ? comes format=${IMAGE_KINDS.join(' or format=')}`);
  return kind;
}

function invalid(address: string, reason: string): Error {
  return targetFaults.addressInvalid({ address, reason });
}
