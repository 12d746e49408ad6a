/** The log of one run: opens with the command line, ends with the exit status (spec/imgadm.md §2.4). */

import {maskUrl, maskUrls} from '../http/mask-url.ts';
import type {ProgramName} from './context-flags.ts';
import type {Environment} from './environment.ts';
import type {GlobalFlags} from './flags.ts';
import {formatOf, Log, levelOf, requestIdOf} from './log.ts';
import {escapeRest} from './table.ts';

export class RunLog {
  readonly log: Log;
  #isBegun = false;

  constructor(environment: Environment, program: ProgramName) {
    const {env, stderr} = environment;
    let requestId: string | undefined;
    this.log = new Log({
      name: program,
      get requestId() {
        requestId ??= requestIdOf(env);
        return requestId;
      },
      level: levelOf(env),
      format: formatOf(env, program, stderr.isTTY === true),
      write: (line) => stderr.write(`${escapeRest(maskUrls(line))}\n`),
    });
  }

  /** Once the flags are known, or have turned out to be wrong; later calls count for nothing. */
  begin({globals, args}: {globals: Partial<GlobalFlags>; args: readonly string[]}): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    if (globals.verbose) this.log.lowerTo('trace');
    this.log.debug({opts: globals, args: args.map(maskUrl), cli: true}, 'cli init');
  }

  end(subcommand: string | undefined, exitStatus: number): void {
    const subcmd = subcommand === undefined ? {} : {subcmd: subcommand};
    this.log.debug({...subcmd, exitStatus, cli: true}, 'cli exit');
  }
}
