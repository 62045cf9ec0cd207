/**
 * Faults: the errors a user can meet. Each has a stable `code`, says what happened, and what to do.
 *
 *   kind      who can mend it                              exit code (docs/reference/cli.md)
 *   retry     time: the same call may succeed later         75
 *   refused   the user: input, rights, state, settings      2
 *   corrupt   a repair or another copy: bytes are wrong     3
 *   bug       us                                            70
 *
 * A module declares its faults in one table (`faults.ts`), so that docs/reference/errors.md can be checked
 * against them. Return faults by throwing them; never log and go on.
 */
export type FaultKind = 'retry' | 'refused' | 'corrupt' | 'bug';

export type FaultDetails = Readonly<Record<string, string | number | boolean | bigint | undefined>>;

export interface FaultDefinition {
  readonly kind: FaultKind;
  /** What happened, one sentence without the final stop. `{name}` is replaced by the detail of that name. */
  readonly text: string;
  /** What to do about it. `{name}` is replaced as in `text`. */
  readonly remedy: string;
  /** What was lost; left out when nothing was. */
  readonly lost?: string;
}

const FAULT_BRAND: unique symbol = Symbol.for('hvlift.fault') as never;

export class Fault extends Error {
  readonly [FAULT_BRAND] = true;
  readonly code: string;
  readonly kind: FaultKind;
  readonly remedy: string;
  readonly lost: string | undefined;
  readonly details: FaultDetails;

  constructor(code: string, definition: FaultDefinition, details: FaultDetails, cause?: unknown) {
    super(fill(definition.text, details), cause === undefined ? undefined : { cause });
    this.name = 'Fault';
    this.code = code;
    this.kind = definition.kind;
    this.remedy = fill(definition.remedy, details);
    this.lost = definition.lost;
    this.details = details;
  }

  /** The form every `--json` output and run record uses. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      kind: this.kind,
      message: this.message,
      remedy: this.remedy,
      ...(this.lost === undefined ? {} : { lost: this.lost }),
      details: Object.fromEntries(
        Object.entries(this.details).map(([k, v]) => [k, typeof v === 'bigint' ? String(v) : v]),
      ),
      ...(this.cause instanceof Error ? { cause: causeText(this.cause) } : {}),
    };
  }
}

/** True for a fault of any loaded copy of this package. */
export function isFault(error: unknown): error is Fault {
  return error instanceof Error && (error as { [FAULT_BRAND]?: true })[FAULT_BRAND] === true;
}

export function hasCode(error: unknown, ...codes: string[]): error is Fault {
  return isFault(error) && codes.includes(error.code);
}

/** What the user should know though the work was done: a fault that stopped nothing. Plain data, as records keep it. */
export interface Warning {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export function warningOf({ code, message, remedy }: Fault): Warning {
  return { code, message, remedy };
}

export type FaultFactory = (details?: FaultDetails, options?: { cause?: unknown }) => Fault;

/** Every declared fault by code: read by the test that keeps docs/reference/errors.md complete. */
export const declaredFaults = new Map<string, FaultDefinition>();

/**
 * Declares the faults of one module. Key `noValidHeader` under prefix `VHDX` has code `VHDX_NO_VALID_HEADER`.
 *
 *   throw vhdxFaults.noValidHeader({ path });
 */
export function faults<T extends Record<string, FaultDefinition>>(
  prefix: string,
  table: T,
): { readonly [K in keyof T]: FaultFactory } {
  const factories = Object.entries(table).map(([key, definition]) => {
    const code = `${prefix}_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    declaredFaults.set(code, definition);
    const factory: FaultFactory = (details = {}, options = {}) =>
      new Fault(code, definition, details, options.cause);
    return [key, factory] as const;
  });
  return Object.fromEntries(factories) as { [K in keyof T]: FaultFactory };
}

function fill(template: string, details: FaultDetails): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    details[name] === undefined ? whole : String(details[name]),
  );
}

function causeText(error: Error): string {
  return isFault(error) ? `${error.code}: ${error.message}` : error.message;
}

/** Asserts what only a bug can break. What the world can break is reported by a declared fault instead. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new Fault('BUG_ASSERTION', BUG, { claim });
}

const BUG: FaultDefinition = {
  kind: 'bug',
  text: 'hvlift broke one of its own rules: {claim}',
  remedy: 'please report this with the run record; nothing was committed',
};
declaredFaults.set('BUG_ASSERTION', BUG);
