/** Completion scripts: what the shells share (`shell-core.ts`), and how each shell is told. */

import type {CommandSet} from '../command.ts';
import {grammarOf} from './grammar.ts';
import {shellCore} from './shell-core.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof shells)[number];

/**
 * The script that teaches the shell the commands of imgctl, imgadm and, where the one on PATH is ours, importctl. Ends
 * with a newline.
 */
export async function completionScript(shell: Shell, commands: CommandSet): Promise<string> {
  const programs = ['imgctl', 'imgadm', 'importctl'] as const;
  const grammars = await Promise.all(programs.map((program) => grammarOf(commands, program)));
  return fronts[shell](shellCore(grammars));
}

const fronts: Readonly<Record<Shell, (core: string) => string>> = {
  bash: (core) => `# bash completion for imgctl, imgadm, and importctl where that is imgctl
${core}
_imgctl() {
  local IFS=$' \\t\\n' line candidate typed current skip words
  typed=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<<"$typed"
  case $typed in *[[:space:]]) words+=('') ;; esac
  # bash breaks words at "=" and ":", and replaces only what stands behind them.
  current=\${COMP_WORDS[COMP_CWORD]}
  case $current in = | :) current= ;; esac
  typed=\${words[\${#words[@]} - 1]}
  skip=\${typed%"$current"}
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) compopt -o filenames 2>/dev/null && mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
      :directories) compopt -o filenames 2>/dev/null && mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
      *)
        candidate=\${line%%$'\\t'*}
        [[ $candidate == "$typed"* ]] || continue
        COMPREPLY+=("\${candidate#"$skip"}")
        [[ $candidate == *= ]] && compopt -o nospace 2>/dev/null ;;
    esac
  done < <(_imgctl_complete "\${words[0]##*/}" "\${words[@]:1}")
}
complete -F _imgctl imgctl imgadm
case $(readlink -f "$(type -P importctl)" 2>/dev/null) in */bin/imgctl) complete -F _imgctl importctl ;; esac
`,
  zsh: (core) => `#compdef imgctl imgadm
${core}
_imgctl() {
  local output line candidate
  local -a before closed open
  before=("\${words[1]:t}")
  (( CURRENT > 2 )) && before+=("\${(@)words[2,CURRENT - 1]}")
  output=$(emulate ksh; _imgctl_complete "\${before[@]}" "$PREFIX")
  for line in "\${(@f)output}"; do
    case $line in
      '') ;;
      :files) compset -P '*='; _files; return ;;
      :directories) compset -P '*='; _files -/; return ;;
      *)
        candidate=\${\${line%%$'\\t'*}//:/\\\\:}
        [[ $line == *$'\\t'?* ]] && line="$candidate:\${line#*$'\\t'}" || line=$candidate
        if [[ $candidate == *= ]]; then open+=("$line"); else closed+=("$line"); fi ;;
    esac
  done
  (( $#closed )) && _describe -t values value closed
  (( $#open )) && _describe -t values value open -S ''
}
if [[ \${commands[importctl]:A} == */bin/imgctl ]]; then compdef _imgctl importctl; fi
if [[ $funcstack[1] == _imgctl ]]; then _imgctl "$@"; else compdef _imgctl imgctl imgadm; fi
`,
  fish: (core) => `# fish completion for imgctl, imgadm, and importctl where that is imgctl
set -g __imgctl_core '${core.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}
_imgctl_complete "$@"'
function __imgctl_complete
  set -l words (commandline -opc)
  set -l token (commandline -ct)
  set -l program (string replace -r '.*/' '' -- $words[1])
  for line in (sh -c $__imgctl_core sh $program $words[2..-1] $token)
    switch $line
      case :files
        __imgctl_paths __fish_complete_path $token
      case :directories
        __imgctl_paths __fish_complete_directories $token
      case '*'
        printf '%s\\n' $line
    end
  end
end
function __imgctl_paths -a helper token
  set -l head (string match -r -- '^-[^=]*=' $token)
  for line in ($helper (string replace -r -- '^-[^=]*=' '' $token))
    printf '%s\\n' "$head$line"
  end
end
complete -c imgctl -f -a '(__imgctl_complete)'
complete -c imgadm -f -a '(__imgctl_complete)'
if string match -q '*/bin/imgctl' -- (path resolve (command -s importctl))
  complete -c importctl -f -a '(__imgctl_complete)'
end
`,
};
