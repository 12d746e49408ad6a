/**
 * The part of the completion that all shells share: functions in the language of sh (zsh reads them under
 * `emulate ksh`, fish has sh run them). `_imgctl_complete PROGRAM WORD...` prints a candidate a line, its meaning behind a
 * tab; the last word is
 * the one to complete. `:files` and `:directories` leave it to the shell. Only values that the host alone knows start a process.
 */

import type {CompletedCommand, CompletedOption, Grammar, ValueKind} from './grammar.ts';

export function shellCore(grammars: readonly Grammar[]): string {
  return [
    caseFunction('_imgctl_commands', commandLines(grammars)),
    caseFunction('_imgctl_options', optionLines(grammars)),
    caseFunction('_imgctl_option_value', optionValueLines(grammars)),
    caseFunction('_imgctl_argument', argumentLines(grammars)),
    engine,
  ].join('\n');
}

type Clause = readonly [patterns: readonly string[], text: string];

/** A function that prints the text of the first pattern that its words, joined by blanks, fit. */
function caseFunction(name: string, clauses: readonly Clause[]): string {
  const lines = clauses.map(
    ([patterns, text]) => `    ${patterns.map(quoted).join('|')}) printf '%s\\n' ${quoted(text)} ;;`,
  );
  return [`${name}() {`, '  case "$*" in', ...lines, '  esac', '}'].join('\n');
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Words behind the program, and behind the first word of a group. */
function commandLines(grammars: readonly Grammar[]): Clause[] {
  return grammars.flatMap(({program, commands}) => {
    const groups = new Map<string, string[]>([[program, ['help\tprint help']]]);
    for (const {names, summary} of commands)
      for (const name of names) {
        const [first = '', second] = name.split(' ');
        if (second === undefined) groups.get(program)?.push(`${first}\t${summary}`);
        else
          groups.set(`${program} ${first}`, [
            ...(groups.get(`${program} ${first}`) ?? []),
            `${second}\t${summary}`,
          ]);
      }
    for (const group of [...groups.keys()].filter((key) => key !== program))
      groups.get(program)?.push(`${group.split(' ')[1]}\tcommands: ${group.split(' ')[1]} …`);
    return [...groups].map(([words, lines]): Clause => [[words], lines.join('\n')]);
  });
}

function optionLines(grammars: readonly Grammar[]): Clause[] {
  return grammars.flatMap(({program, globalOptions, commands}) => [
    ...commands.map(({names, options}): Clause => [atNames(program, names), describe(options)]),
    [[program], describe(globalOptions)] as Clause,
  ]);
}

function describe(options: readonly CompletedOption[]): string {
  return options
    .flatMap(({long, short, summary, value}) => [
      ...(long ? [`${long}${value ? '=' : ''}\t${summary}`] : []),
      ...(short ? [`${short}\t${summary}`] : []),
    ])
    .join('\n');
}

function optionValueLines(grammars: readonly Grammar[]): Clause[] {
  return grammars.flatMap(({program, globalOptions, commands}) => [
    ...commands.flatMap(({names, options}) => valueLines(atNames(program, names), options)),
    ...valueLines([program], globalOptions),
  ]);
}

function valueLines(places: readonly string[], options: readonly CompletedOption[]): Clause[] {
  return options.flatMap(({long, short, value}): Clause[] => {
    if (!value) return [];
    const patterns = places.flatMap((place) =>
      [long, short].flatMap((name) => (name ? [`${place} ${name}`] : [])),
    );
    return [[patterns, kindText(value)]];
  });
}

function argumentLines(grammars: readonly Grammar[]): Clause[] {
  return grammars.flatMap(({program, commands}) =>
    commands.flatMap((command) =>
      command.arguments.map((kind, index): Clause => {
        const isLast = index === command.arguments.length - 1;
        const number = command.many && isLast ? 'more' : String(index + 1);
        return [atNames(program, command.names).map((place) => `${place} ${number}`), kindText(kind)];
      }),
    ),
  );
}

function atNames(program: string, names: CompletedCommand['names']): string[] {
  return names.map((name) => `${program} ${name}`);
}

/** `words A B`, `live KIND KIND`, `:files`, `:directories` or `any`. */
function kindText(kind: ValueKind): string {
  if (kind === 'files' || kind === 'directories') return `:${kind}`;
  if (kind === 'anything') return 'any';
  return 'words' in kind ? `words ${kind.words.join(' ')}` : `live ${kind.live.join(' ')}`;
}

const engine = `_imgctl_values() {
  local kind
  case "$1" in
    'words '*) for kind in \${1#words }; do printf '%s\\n' "$kind"; done ;;
    'live '*)
      set -- \${1#live }
      for kind in "$@"; do set -- "$@" --values "$kind"; shift; done
      imgctl completion "$@" 2>/dev/null ;;
    :*) printf '%s\\n' "$1" ;;
  esac
}
_imgctl_value_of() {
  _imgctl_option_value "$1 $2"
  # imgadm takes the general options before the command only.
  case "$1" in 'imgctl '*) _imgctl_option_value "imgctl $2" ;; esac
}
_imgctl_complete() {
  local program=$1 place=$1 word previous= count=0 more= kind
  shift
  while [ $# -gt 1 ]; do
    word=$1
    shift
    if [ "$word" = -- ]; then
      more=yes
      continue
    fi
    case "$more$word" in
      --*=*) continue ;;
      -?*)
        # The value of an option may be the word that is completed.
        if [ -n "$(_imgctl_value_of "$place" "$word")" ]; then
          previous=$word
          [ $# -gt 1 ] && shift && previous=
        fi
        continue ;;
    esac
    if [ -z "$(_imgctl_commands "$place")" ]; then
      count=$((count + 1))
    elif [ "$place $word" = "$program help" ]; then
      place=$program
    else
      place="$place $word"
    fi
  done
  word=$1
  if [ -n "$previous" ]; then
    _imgctl_values "$(_imgctl_value_of "$place" "$previous")"
    return
  fi
  case "$more$word" in
    --*=*)
      kind=$(_imgctl_value_of "$place" "\${word%%=*}")
      _imgctl_values "$kind" | while IFS= read -r line; do
        case $line in
          :*) printf '%s\\n' "$line" ;;
          *) printf '%s=%s\\n' "\${word%%=*}" "$line" ;;
        esac
      done
      return ;;
    -*)
      _imgctl_options "$place"
      case "$place" in 'imgctl '*) _imgctl_options imgctl ;; *' '*) printf '%s\\n' --help ;; esac
      return ;;
  esac
  if [ -n "$(_imgctl_commands "$place")" ]; then
    _imgctl_commands "$place"
  else
    kind=$(_imgctl_argument "$place $((count + 1))")
    [ -n "$kind" ] || kind=$(_imgctl_argument "$place more")
    _imgctl_values "$kind"
  fi
}
`;
