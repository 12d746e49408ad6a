/** The verbs of the importctl family as commands; each file in `commands/` names one of them. */

import type {TransferVerb} from '../../actions/transfer-order.ts';
import {makeTransferOrder} from '../../actions/transfer-order.ts';
import {ImgctlError} from '../../errors.ts';
import {type ArgumentDefinition, type CommandDefinition, defineCommand} from '../command.ts';
import type {CommandContext} from '../context.ts';
import type {FlagTable, ParsedInput} from '../flags.ts';
import {flagsOf, type verbFlags} from './flags.ts';
import {type ImportctlSettings, parseImportctl} from './parse.ts';
import {runTransferClient, type TransferOutcome} from './transfer-client.ts';

/** What a verb of this family is given: its words, and the options as importctl understands them. */
export interface VerbInput {
  settings: ImportctlSettings;
  words: string[];
}

export interface VerbDefinition<R> {
  id: string;
  summary: string;
  description?: string;
  kind: keyof typeof verbFlags;
  args: readonly ArgumentDefinition[];
  examples: readonly string[];
  run(context: CommandContext, input: VerbInput): Promise<R>;
  draw(value: R, input: VerbInput, context: CommandContext): string;
  statusOf?(value: R): number;
}

/** Settings travel from the parser to `run` beside the flags, which only carry the general ones. */
type ReadVerb = ParsedInput & {settings: ImportctlSettings};

export function defineVerb<R>(verb: VerbDefinition<R>): CommandDefinition {
  const inputOf = (input: ParsedInput): VerbInput => {
    return {settings: (input as ReadVerb).settings, words: input.args};
  };
  const {statusOf} = verb;
  return defineCommand<FlagTable, R>({
    id: verb.id,
    family: 'importctl',
    summary: verb.summary,
    ...(verb.description !== undefined && {description: verb.description}),
    flags: flagsOf(verb.kind),
    args: verb.args,
    examples: verb.examples,
    parse: (args) => readVerb(verb, args),
    run: (context, input) => verb.run(context, inputOf(input)),
    draw: (value, input, context) => verb.draw(value, inputOf(input), context),
    ...(statusOf && {statusOf}),
  });
}

function readVerb(verb: Pick<VerbDefinition<unknown>, 'args'>, args: readonly string[]): ReadVerb {
  const {settings, words, globals} = parseImportctl(args, 'imgctl');
  if (!settings.help) checkWordCount(verb, words);
  return inputFor(settings, words, globals);
}

/** Words and settings in the form that every command's `run` takes. */
export function inputFor(
  settings: ImportctlSettings,
  words: string[],
  globals: Record<string, string | boolean> = {},
): ReadVerb {
  const flags: Record<string, string | boolean> = {
    ...globals,
    help: settings.help,
    quiet: settings.quiet,
    ...(settings.scope && {scope: settings.scope}),
  };
  return {flags: flags as ReadVerb['flags'], args: words, settings};
}

/** importctl's texts (spec/importctl.md §4). */
export function checkWordCount(
  {args}: Pick<VerbDefinition<unknown>, 'args'>,
  words: readonly string[],
): void {
  const least = args.filter((argument) => !argument.optional).length;
  const isOpen = args.at(-1)?.many === true;
  if (words.length < least) throw new ImgctlError('Usage', 'Too few arguments.');
  if (!isOpen && words.length > args.length) throw new ImgctlError('Usage', 'Too many arguments.');
}

/** The value as JSON, when asked for; importctl itself prints nothing here. */
export function drawOutcome(value: object, {settings}: VerbInput, context: CommandContext): string {
  if (settings.json === 'off' || context.program === 'importctl') return '';
  const isPretty =
    settings.json === 'pretty' || (settings.json === 'auto' && context.environment.stdout.isTTY);
  return JSON.stringify(value, null, isPretty ? 2 : 0);
}

const local: ArgumentDefinition = {name: 'NAME', summary: 'name of the image here', optional: true};

/** A verb that transfers an image. */
export function defineTransfer(
  id: TransferVerb,
  texts: Pick<VerbDefinition<unknown>, 'summary' | 'examples'> & {
    description?: string;
    subject: ArgumentDefinition;
  },
): CommandDefinition {
  const {subject, ...rest} = texts;
  const isExport = id.startsWith('export-');
  const second: ArgumentDefinition = isExport
    ? {name: 'FILE', summary: 'the file to write; "-" or nothing is standard output', optional: true}
    : local;
  return defineVerb<TransferOutcome>({
    id,
    ...rest,
    kind: isExport ? 'export' : id.startsWith('pull-') ? 'pull' : 'import',
    args: [subject, second],
    run: (context, {settings, words}) => {
      const order = makeTransferOrder(id, words, settings);
      const wantsJson = settings.json !== 'off' && context.program !== 'importctl';
      if (isExport && order.remote === '-' && wantsJson)
        throw new ImgctlError('Usage', 'The image goes to standard output, so no JSON can go there');
      return runTransferClient(context, order, {quiet: settings.quiet, flags: context.placeFlags()});
    },
    draw: drawOutcome,
    statusOf: (outcome) => (outcome.status === 'done' ? 0 : 1),
  });
}
