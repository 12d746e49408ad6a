/**
 * The log: one bunyan record a line on stderr (spec/imgadm.md §2.4), or one readable line on a terminal
 * (ux.md §7.4). Only `cli/` writes it; what other rooms have to tell comes through callbacks. Secrets are masked by
 * whoever makes a record.
 */

export const logLevels = {trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60} as const;

export type LogLevel = keyof typeof logLevels;

type Environment = Readonly<Record<string, string | undefined>>;

/** What is known of a run whatever its level: the same in records, error objects and requests. */
export interface LogIdentity {
  name: string;
  requestId: string;
}

export interface LogOptions extends LogIdentity {
  level: LogLevel;
  format: 'json' | 'text';
  /** Writes one line; the newline is added here. */
  write(text: string): void;
}

/** The level the environment asks for; a name that is none is passed over. */
export function levelOf(env: Environment): LogLevel {
  for (const name of [env.IMGCTL_LOG_LEVEL, env.IMGADM_LOG_LEVEL])
    if (name !== undefined && Object.hasOwn(logLevels, name)) return name as LogLevel;
  return 'warn';
}

/** Readable on a terminal, JSON elsewhere, unless told; the old name always writes bunyan's format. */
export function formatOf(env: Environment, program: string, isTerminal: boolean): 'json' | 'text' {
  if (program === 'imgadm') return 'json';
  if (env.IMGCTL_LOG_FORMAT === 'json' || env.IMGCTL_LOG_FORMAT === 'text') return env.IMGCTL_LOG_FORMAT;
  return isTerminal ? 'text' : 'json';
}

/** `REQ_ID` of the caller, or a fresh one: what makes it takes half as long to load as Node to start. */
export function requestIdOf(env: Environment): string {
  return env.REQ_ID || env.req_id || process.getBuiltinModule('node:crypto').randomUUID();
}

export class Log {
  readonly #options: LogOptions;
  #level: number;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#level = logLevels[options.level];
  }

  get requestId(): string {
    return this.#options.requestId;
  }

  /** From here on records of this level are written too. */
  lowerTo(level: LogLevel): void {
    this.#level = Math.min(this.#level, logLevels[level]);
  }

  isWritten(level: LogLevel): boolean {
    return logLevels[level] >= this.#level;
  }

  debug(fields: Record<string, unknown>, message: string): void {
    this.#record('debug', fields, message);
  }

  trace(fields: Record<string, unknown>, message: string): void {
    this.#record('trace', fields, message);
  }

  #record(level: LogLevel, fields: Record<string, unknown>, message: string): void {
    if (!this.isWritten(level)) return;
    const time = new Date().toISOString();
    if (this.#options.format === 'text') {
      const words = Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
      this.#options.write([`${time} ${level.padEnd(5)} ${message}`, ...words].join(' '));
      return;
    }
    const src = this.#level <= logLevels.trace ? callSite(new Error().stack) : undefined;
    const head = recordHead(this.#options, logLevels[level]);
    this.#options.write(JSON.stringify({...head, ...fields, msg: message, time, ...(src && {src}), v: 0}));
  }
}

/** The keys with which every record begins, in bunyan's order. */
export function recordHead(identity: LogIdentity, level: number): Record<string, unknown> {
  const {name, requestId} = identity;
  return {
    name,
    req_id: requestId,
    hostname: process.getBuiltinModule('node:os').hostname(),
    pid: process.pid,
    level,
  };
}

/** Who called `debug` or `trace`: the fourth line of the stack of `#record`. */
function callSite(stack: string | undefined): {file: string; line: number; func?: string} | undefined {
  const line = stack?.split('\n')[3] ?? '';
  const [, func, file, at] =
    /^\s*at (?:(?:async )?(.+?) \()?(?:file:\/\/)?(.+?):(\d+):\d+\)?$/.exec(line) ?? [];
  if (file === undefined) return undefined;
  return {file, line: Number(at), ...(func !== undefined && {func})};
}
