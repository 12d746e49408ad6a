import {defineCommand} from '../cli/command.ts';
import {type LiveKind, type LiveValue, liveKinds, liveValues} from '../cli/completion/live-values.ts';
import {type Shell, shells} from '../cli/completion/scripts.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'completion',
  family: 'imgctl',
  summary: 'print what completes command lines in a shell',
  description:
    'Prints the script that teaches a shell the commands, options and values of imgctl and imgadm, and of importctl where the one on PATH is imgctl. Images, sources and transfers are those this host knows of at the time; no source is asked.',
  flags: {
    values: {kind: 'strings', value: 'KIND', hidden: true, summary: 'values of a kind, for the scripts'},
  },
  args: [{name: 'SHELL', summary: 'bash, zsh or fish', optional: true}],
  examples: [
    'completion bash > /etc/bash_completion.d/imgctl',
    'completion fish > ~/.config/fish/completions/imgctl.fish',
  ],
  async run(
    context,
    {flags, args: [shell]},
    commands,
  ): Promise<{shell: Shell; script: string} | LiveValue[]> {
    if (flags.values.length > 0) return liveValues(context, flags.values.filter(isLiveKind));
    if (shell === undefined || !isShell(shell)) {
      throw new ImgctlError('Usage', `invalid shell "${shell ?? ''}": must be bash, zsh or fish`);
    }
    const {completionScript} = await import('../cli/completion/scripts.ts');
    return {shell, script: await completionScript(shell, commands)};
  },
  draw: (value) =>
    Array.isArray(value)
      ? value.map((entry) => `${entry.value}\t${entry.description}`.trimEnd()).join('\n')
      : value.script.trimEnd(),
});

function isShell(text: string): text is Shell {
  return (shells as readonly string[]).includes(text);
}

function isLiveKind(text: string): text is LiveKind {
  return (liveKinds as readonly string[]).includes(text);
}
