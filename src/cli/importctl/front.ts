/**
 * The program under the name importctl: its option placement, its texts, its exit statuses 0 and 1, nothing else
 * (design.md §1; spec/importctl.md).
 */

import type {Writable} from 'node:stream';
import {ImgctlError} from '../../errors.ts';
import type {CommandMap} from '../command-map.ts';
import {CommandContext} from '../context.ts';
import type {Environment} from '../environment.ts';
import {Output} from '../output.ts';
import {packageVersion} from '../package-root.ts';
import {RunLog} from '../run-log.ts';
import {escapeControls} from '../table.ts';
import {parseImportctl} from './parse.ts';
import {checkWordCount, inputFor} from './verbs.ts';

const program = 'importctl';
const defaultVerb = 'list-transfers';
/** The second line of the version, as systemd writes what it was built with: formats and checks of transfers. */
const features = '+OPENPGP -GCRYPT +QCOW2 -OCI +BZIP2 -LZ4 +XZ +ZLIB +ZSTD';

export interface FrontOptions {
  commands: CommandMap;
  environment: Environment;
  signal: AbortSignal;
}

/** Resolves with the exit status. */
export async function importctlMain(argv: readonly string[], options: FrontOptions): Promise<number> {
  const {environment} = options;
  try {
    return await run(argv, options);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    environment.stderr.write(`${message.split('\n').map(escapeControls).join('\n')}\n`);
    return 1;
  }
}

async function run(argv: readonly string[], {commands, environment, signal}: FrontOptions): Promise<number> {
  const {settings, words} = parseImportctl(argv, program);
  const [verb = defaultVerb, ...rest] = words;
  if (settings.help || verb === 'help') {
    await printHelp(commands, environment.stdout);
    return 0;
  }
  if (settings.version) {
    environment.stdout.write(`imgctl ${packageVersion()} (${packageVersion()})\n${features}\n`);
    return 0;
  }
  if (verb === 'pull-oci') throw new ImgctlError('NotSupported', 'pull-oci is not supported.');
  const found = commands.find(program, [verb]);
  if (!found)
    throw new ImgctlError(
      'UnknownCommand',
      `Unknown command verb '${verb}', did you mean '${commands.suggest(program, verb) ?? 'help'}'?`,
    );
  const definition = await commands.load(found.id);
  checkWordCount(definition, rest);
  const output = new Output(environment, {
    subject: program,
    quiet: settings.quiet,
    json: settings.json !== 'off',
  });
  const {log} = new RunLog(environment, program);
  const context = new CommandContext({
    program,
    environment,
    flags: {quiet: settings.quiet, ...(settings.scope && {scope: settings.scope})},
    output,
    signal,
    log,
  });
  try {
    const input = inputFor(settings, rest);
    const value = await definition.run(context, input, commands);
    output.data(definition.draw?.(value, input, context) ?? '');
    return definition.statusOf?.(value) ?? 0;
  } finally {
    await context.close();
  }
}

async function printHelp(commands: CommandMap, stdout: Writable): Promise<void> {
  const lines = [
    'importctl [OPTIONS...] COMMAND ...',
    '',
    'Download, import or export disk images',
    '',
    'Commands:',
  ];
  for (const id of commands.ids(program)) {
    const {summary, args} = await commands.load(id);
    const words = args.map((argument) =>
      argument.optional ? `[${argument.name}]` : argument.many ? `${argument.name}...` : argument.name,
    );
    lines.push(`  ${[id, ...words].join(' ').padEnd(30)}${summary}`);
  }
  lines.push('', 'See importctl(1) for the options.');
  stdout.write(`${lines.join('\n')}\n`);
}
