/** Global options before the command name (spec/imgadm.md §2); after it the command's own table counts. */

import {ImgctlError} from '../errors.ts';
import {parseSwitch} from './boolean-values.ts';
import {type FlagDefinition, type GlobalFlags, globalFlags} from './flags.ts';
import {formOf, type JsonForm} from './json-form.ts';

export interface SplitArguments {
  globals: Partial<GlobalFlags>;
  version: boolean;
  /** Of `--json=FORM`. */
  jsonForm?: JsonForm;
  rest: string[];
}

/** Takes options up to the first word that is none. `UnknownOption` for others. */
export function splitGlobals(argv: readonly string[]): SplitArguments {
  const globals: Record<string, string | boolean> = {};
  let version = false;
  let jsonForm: JsonForm | undefined;
  let index = 0;
  for (; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--version') {
      version = true;
    } else if (formOf(word) !== undefined) {
      jsonForm = formOf(word);
      globals.json = true;
    } else if (word.startsWith('--') && word.length > 2) {
      index += takeLong(word, argv[index + 1], globals);
    } else if (word.startsWith('-') && word.length > 1 && word !== '--') {
      takeShort(word, globals);
    } else {
      break;
    }
  }
  return {
    globals: globals as Partial<GlobalFlags>,
    version,
    rest: argv.slice(index),
    ...(jsonForm && {jsonForm}),
  };
}

/** How many further words it took. */
function takeLong(word: string, next: string | undefined, globals: Record<string, string | boolean>): number {
  const [name = '', inline] = splitOnce(word.slice(2));
  const definition = Object.hasOwn(globalFlags, name)
    ? (globalFlags as Record<string, FlagDefinition>)[name]
    : undefined;
  if (!definition) throw new ImgctlError('UnknownOption', `unknown option: "${word}"`);
  if (definition.kind === 'boolean') {
    globals[name] = inline === undefined || parseSwitch(name, inline);
    return 0;
  }
  const value = inline ?? next;
  if (value === undefined) throw missingValue(`--${name}`);
  checkOption(name, definition, value);
  globals[name] = value;
  return inline === undefined ? 1 : 0;
}

function takeShort(word: string, globals: Record<string, string | boolean>): void {
  for (const letter of word.slice(1)) {
    const entry = Object.entries(globalFlags).find(
      ([, definition]) => 'char' in definition && definition.char === letter,
    );
    if (!entry) throw new ImgctlError('UnknownOption', `unknown option: "-${letter}"`);
    globals[entry[0]] = true;
  }
}

export function missingValue(flag: string): ImgctlError {
  return new ImgctlError('Option', `do not have enough args for "${flag}" option`);
}

/** `Usage` naming the values there are. */
export function checkOption(name: string, definition: FlagDefinition, value: string): void {
  if (!definition.options || definition.options.includes(value)) return;
  const known = definition.options.map((option) => `"${option}"`).join(', ');
  throw new ImgctlError('Usage', `invalid --${name} "${value}": must be one of ${known}`);
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
