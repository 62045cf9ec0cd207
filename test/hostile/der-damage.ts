/** Damage inside DER: an item is changed and every length around it is made right again, so that the damage is reached. */
import { der, readDer, type DerItem } from '../../src/auth/der.ts';
import type { Random } from '../../lab/model/random.ts';
import { damaged } from './byte-damage.ts';

const CONSTRUCTED = 0x20;

export function damagedDer(bytes: Uint8Array, random: Random): Uint8Array {
  return random.chance(0.3) ? damaged(bytes, random) : rebuilt(bytes, random);
}

function rebuilt(bytes: Uint8Array, random: Random): Uint8Array {
  const items = itemsOf(bytes);
  if (!items) return damaged(bytes, random);
  const hit = random.below(items.length);
  return Buffer.concat(
    items.flatMap((item, index) => (index === hit ? changed(item, random) : [der(item.tag, item.value)])),
  );
}

function itemsOf(bytes: Uint8Array): DerItem[] | undefined {
  try {
    const items = readDer(bytes);
    return items.length > 0 ? items : undefined;
  } catch {
    return undefined;
  }
}

/** Deeper, here, or instead of it something else. */
function changed({ tag, value }: DerItem, random: Random): Uint8Array[] {
  if ((tag & CONSTRUCTED) !== 0 && random.chance(0.75)) return [der(tag, rebuilt(value, random))];
  const kinds = [
    () => [],
    () => [der(tag, value), der(tag, value)],
    () => [der(random.below(256), value)],
    () => [der(tag)],
    () => [der(tag, damaged(value, random))],
    () => [der(tag, der(tag, value))],
    () => [Uint8Array.of(tag, 0x80), value, Uint8Array.of(0, 0)],
    () => [Uint8Array.of(tag, 0x84, 0xff, 0xff, 0xff, 0xff), value],
    () => [der(tag, random.bytes(random.below(40)))],
  ];
  return kinds[random.below(kinds.length)]!();
}
