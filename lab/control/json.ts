/** JSON with bytes in it: `{"$bytes": "<base64>"}`. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    item instanceof Uint8Array ? { $bytes: Buffer.from(item).toString('base64') } : item,
  );
}

export function fromJson(text: string): unknown {
  return JSON.parse(text, (_key, item: unknown) =>
    isBytes(item) ? Buffer.from(item.$bytes, 'base64') : item,
  );
}

function isBytes(item: unknown): item is { $bytes: string } {
  return (
    typeof item === 'object' && item !== null && typeof (item as { $bytes?: unknown }).$bytes === 'string'
  );
}
