/** The service's own lines: to the journal through standard error, with sd-daemon(3)'s level prefixes, or where LogControl1 says. */

import {appendFileSync} from 'node:fs';
import type {Writable} from 'node:stream';
import {
  type LogSettings,
  type LogTarget,
  parseLogLevel,
  parseLogTarget,
} from '../../dbus/service/log-control.ts';

const infoLevel = 6;
const kernelLog = '/dev/kmsg';

export class ServiceLog implements LogSettings {
  level: number;
  target: LogTarget;
  readonly syslogIdentifier: string;
  readonly #stderr: Writable;
  readonly #hasJournal: boolean;

  /** Level and target begin as `SYSTEMD_LOG_LEVEL` and `SYSTEMD_LOG_TARGET` have them. */
  constructor(options: {
    env: Readonly<Record<string, string | undefined>>;
    stderr: Writable;
    identifier: string;
  }) {
    const {env, stderr, identifier} = options;
    this.level = parseLogLevel(env.SYSTEMD_LOG_LEVEL ?? '') ?? infoLevel;
    this.target = parseLogTarget(env.SYSTEMD_LOG_TARGET ?? '') ?? 'auto';
    this.syslogIdentifier = identifier;
    this.#stderr = stderr;
    this.#hasJournal = env.JOURNAL_STREAM !== undefined;
  }

  write(level: number, text: string): void {
    if (level > this.level || this.target === 'null') return;
    if (this.target === 'kmsg') {
      appendFileSync(kernelLog, `<${level}>${this.syslogIdentifier}[${process.pid}]: ${text}\n`);
      return;
    }
    const isConsole = this.target === 'console' || (this.target === 'auto' && !this.#hasJournal);
    this.#stderr.write(isConsole ? `${text}\n` : `<${level}>${text}\n`);
  }
}
