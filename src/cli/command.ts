/**
 * A command as data: flags, arguments, one `run` that returns a value, and how that value is drawn. The value
 * itself is the `--json` output, so table and JSON cannot drift. Two parsers read these tables: oclif's, and
 * for hot read commands the small one of `fast-path.ts`.
 */

import type {CommandContext} from './context.ts';
import type {ProgramName} from './context-flags.ts';
import type {FlagTable, ParsedInput} from './flags.ts';

export interface ArgumentDefinition {
  name: string;
  summary: string;
  optional?: boolean;
  /** Takes all that follow; only the last argument may. */
  many?: boolean;
}

/** Which old program a command answers to; commands of neither are imgctl's own. */
export type CommandFamily = 'imgadm' | 'importctl' | 'imgctl';

/** What a command may know of the others; `command-map.ts` is one. */
export interface CommandSet {
  ids(program: ProgramName): string[];
  load(id: string): Promise<CommandDefinition>;
}

export interface CommandDefinition<F extends FlagTable = FlagTable, R = unknown> {
  /** Words on the command line: `list`, `manifest check`. */
  id: string;
  aliases?: readonly string[];
  family: CommandFamily;
  summary: string;
  /** At most two paragraphs; never repeats the summary. */
  description?: string;
  flags: F;
  args: readonly ArgumentDefinition[];
  /** Command lines that run as written, apart from UUIDs. */
  /** Of a command without arguments: what it calls those it is given; `args` when absent, as imgadm mostly says. */
  surplusWord?: string;
  examples: readonly string[];
  /** Exit statuses beyond 0, 1 and 2, for help. */
  exitStatus?: Readonly<Record<number, string>>;
  /** Reads the arguments in another way than the two common parsers. */
  parse?(args: readonly string[]): ParsedInput;
  /** `commands` are all there are, for the command that tells of them. */
  run(context: CommandContext, input: ParsedInput<F>, commands: CommandSet): Promise<R>;
  /** Text for stdout in human form, without the last newline; '' prints nothing. */
  draw?(value: R, input: ParsedInput<F>, context: CommandContext): string;
  /** What is drawn may be longer than a screen, and is then shown in a pager. */
  isPaged?: boolean;
  /** Exit status of a run that did not throw; 0 when absent. */
  statusOf?(value: R): number;
}

/** Keeps the types of the flag table; the result is what `commands/` modules export. */
export function defineCommand<const F extends FlagTable, R>(
  definition: CommandDefinition<F, R>,
): CommandDefinition {
  return definition as unknown as CommandDefinition;
}
