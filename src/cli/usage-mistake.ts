/** What is added to the refusal of a command line: the one usage line, and where to read on (ux.md §2.1). */

import {type ErrorCode, ImgctlError} from '../errors.ts';
import {nearNames} from '../manifest/near-names.ts';
import type {CommandDefinition} from './command.ts';
import {flagTable} from './fast-path.ts';
import {type FlagDefinition, globalFlags} from './flags.ts';
import {usageLine} from './help.ts';

const usageCodes = new Set<ErrorCode>(['Usage', 'Option', 'UnknownOption']);

/** The error with usage line and hint, if it is one of the command line and has no hint of its own. */
export function asUsageMistake(error: unknown, definition?: CommandDefinition): unknown {
  if (!(error instanceof ImgctlError) || !usageCodes.has(error.code) || error.hint) return error;
  const usage = definition ? usageLine('imgctl', definition) : 'imgctl [options] <command> [arguments]';
  return new ImgctlError(error.code, error.message, {
    hint: hintFor(error, definition),
    details: {...error.details, usage},
    cause: error.cause,
  });
}

function hintFor(error: ImgctlError, definition: CommandDefinition | undefined): string {
  const help = definition ? `imgctl ${definition.id} --help` : 'imgctl --help';
  const table: Record<string, FlagDefinition> = definition ? flagTable(definition) : globalFlags;
  const typed = error.code === 'UnknownOption' ? /"--([^"=]+)/.exec(error.message)?.[1] : undefined;
  const shown = Object.keys(table).filter((name) => !table[name]?.charOnly && !table[name]?.hidden);
  const [near] = nearNames(typed ?? '', shown);
  return near ? `did you mean "--${near}"; all options: ${help}` : `run: ${help}`;
}
