/**
 * The one error class of the program. Every failure a user can meet carries a stable code; two tables
 * (`cli/exit-codes.ts` and, on the bus, `dbus/error-names.ts`) translate codes outward and nothing else does.
 */

/**
 * Codes of spec/imgadm.md §11 and spec/imgapi.md §2 that imgctl raises itself, plus its own. Each has an entry in
 * imgctl-errors(7).
 */
export const errorCodes = [
  'ActiveImageNotFound',
  'AmbiguousImage',
  'BusUnavailable',
  'CatalogCorrupt',
  'ChecksumError',
  'ClientError',
  'ConfigError',
  'DownloadError',
  'FileSystem',
  'ImageAlreadyExists',
  'ImageHasDependentClones',
  'ImageInUse',
  'ImageNotFound',
  'ImageNotInstalled',
  'InstanceExists',
  'InternalError',
  'Interrupted',
  'InvalidArchive',
  'InvalidArgument',
  'InvalidManifest',
  'InvalidUUID',
  'LimitExceeded',
  'LockTimeout',
  'ManifestValidation',
  'MaxOriginDepth',
  'MaxPlatform',
  'MinPlatform',
  'NoCommand',
  'NoSources',
  'NoSpace',
  'NotAuthorized',
  'NotSupported',
  'Offline',
  'Option',
  'OriginHasNoFinalSnapshot',
  'OriginMismatch',
  'OriginNotFoundInSource',
  'OriginNotInstalled',
  'PartlyDone',
  'PrepareImageDidNotRun',
  'PrepareImageError',
  'SignatureNotTrusted',
  'SourceDowngraded',
  'SourcePing',
  'UncompressionError',
  'UnexpectedNumberOfSnapshots',
  'UnknownCommand',
  'UnknownOption',
  'UpgradeError',
  'UploadError',
  'Usage',
  'VerificationRequired',
  'VmHasNoOrigin',
  'VmNotFound',
  'VmNotStopped',
  'Warned',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface ErrorOptions {
  cause?: unknown;
  /** What the user can do next; a command that works when pasted where there is one. */
  hint?: string;
  /** Machine-readable facts for the JSON error object (ux.md §7.3). */
  details?: Record<string, unknown>;
  /** Whether the same call may succeed later without any change (network, lock, disk). */
  retryable?: boolean;
}

export class ImgctlError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : {cause: options.cause});
    this.name = 'ImgctlError';
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
    this.retryable = options.retryable ?? false;
  }

  /** The code shown to the user; a server's own code passes through unchanged (spec/imgadm.md §11). */
  get publicCode(): string {
    return this.code;
  }
}

/** One line of a server's validation answer (spec/imgapi.md §2). */
export interface ServerErrorItem {
  field: string;
  code: string;
  message?: string;
}

/** An error an image server answered with; its code and items are the server's own. */
export class ServerError extends ImgctlError {
  readonly serverCode: string;
  readonly statusCode: number;
  readonly items: ServerErrorItem[];

  constructor(
    message: string,
    answer: {serverCode: string; statusCode: number; items?: ServerErrorItem[]},
    options: ErrorOptions = {},
  ) {
    super('ClientError', message, options);
    this.name = 'ServerError';
    this.serverCode = answer.serverCode;
    this.statusCode = answer.statusCode;
    this.items = answer.items ?? [];
  }

  override get publicCode(): string {
    return this.serverCode;
  }
}

/** Several independent failures of one command (spec/imgadm.md §6, §11). */
export class MultiError extends ImgctlError {
  readonly errors: readonly ImgctlError[];

  /** The message lists them, unless it is given because each has been told. */
  constructor(errors: readonly ImgctlError[], message?: string) {
    const lines = errors.map((error) => `    error (${error.publicCode}): ${error.message}`);
    super('InternalError', message ?? [`multiple (${errors.length}) errors`, ...lines].join('\n'));
    this.name = 'MultiError';
    this.errors = errors;
  }

  override get publicCode(): string {
    return 'MultiError';
  }
}

/** EDQUOT, which Node 26 has no name for: it says "UNKNOWN". Can go when Node knows it. */
const quotaExceeded = -122;

/**
 * The end of a command of several parts, each failure of which has been told (ux.md §7.1); undefined for none. `PartlyDone`
 * where something was done.
 */
export function asTotals(
  errors: readonly ImgctlError[],
  {of, what, isSomeDone}: {of: number; what: string; isSomeDone: boolean},
): ImgctlError | undefined {
  const [first, ...others] = errors;
  if (!first) return undefined;
  const message = `${errors.length} of ${of} ${what} failed`;
  const retryable = errors.some((error) => error.retryable);
  if (isSomeDone) {
    const failures = errors.map((error) => ({code: error.publicCode, message: error.message}));
    return new ImgctlError('PartlyDone', message, {cause: first, retryable, details: {errors: failures}});
  }
  if (others.length > 0) return new MultiError(errors, message);
  return new ImgctlError(first.code, message, {cause: first, retryable});
}

/** The errno name of a system error, else undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof Error && 'errno' in error && error.errno === quotaExceeded) return 'EDQUOT';
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}

/** Whether a system error says that the disk, or what the user may take of it, is used up. */
export function isNoSpace(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}
