import {invalidArguments} from './call-errors.ts';
import {logControlInterface} from './interfaces.ts';
import type {ServedInterface} from './object-server.ts';

export const logLevels = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;
export const logTargets = [
  'console',
  'console-prefixed',
  'kmsg',
  'journal',
  'journal-or-kmsg',
  'syslog',
  'syslog-or-kmsg',
  'auto',
  'null',
] as const;

export type LogTarget = (typeof logTargets)[number];

/** Where the service's own lines go, and down to which syslog level. */
export interface LogSettings {
  level: number;
  target: LogTarget;
  readonly syslogIdentifier: string;
}

/** A level by name or digit; undefined for neither. */
export function parseLogLevel(word: string): number | undefined {
  const index = (logLevels as readonly string[]).indexOf(word);
  if (index >= 0) return index;
  const digit = /^\s*\+?([0-7])$/.exec(word)?.[1];
  return digit === undefined ? undefined : Number(digit);
}

export function parseLogTarget(word: string): LogTarget | undefined {
  return logTargets.find((name) => name === word);
}

/** org.freedesktop.LogControl1 over the settings that the service's log reads. */
export class LogControl implements ServedInterface {
  readonly description = logControlInterface;
  readonly #settings: LogSettings;

  constructor(settings: LogSettings) {
    this.#settings = settings;
  }

  call(): unknown[] {
    return [];
  }

  get(property: string): unknown {
    const {level, target, syslogIdentifier} = this.#settings;
    if (property === 'LogLevel') return logLevels[level];
    return property === 'LogTarget' ? target : syslogIdentifier;
  }

  set(property: string, value: string): void {
    if (property === 'LogLevel') {
      const level = parseLogLevel(value);
      if (level === undefined) throw invalidArguments(`Invalid log level '${value}'`);
      this.#settings.level = level;
    } else {
      const target = parseLogTarget(value);
      if (target === undefined) throw invalidArguments(`Invalid log target '${value}'`);
      this.#settings.target = target;
    }
  }
}
