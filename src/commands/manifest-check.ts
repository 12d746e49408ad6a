import {checkManifestFiles} from '../actions/manifest-check.ts';
import {defineCommand} from '../cli/command.ts';
import {escapeControls} from '../cli/table.ts';
import type {ManifestSet} from '../manifest/validate.ts';

const sets = ['minimal', 'dc', 'public', 'private'] as const satisfies readonly ManifestSet[];

export default defineCommand({
  id: 'manifest check',
  family: 'imgctl',
  summary: 'say whether manifests are valid',
  flags: {
    for: {
      kind: 'string',
      value: 'SET',
      options: sets,
      summary:
        'for whom it must be valid: minimal for install, the others for servers of that mode (default minimal)',
    },
  },
  args: [{name: 'FILE', summary: 'manifests', many: true}],
  examples: ['manifest check base.imgmanifest', 'manifest check -j --for public base.imgmanifest'],
  exitStatus: {6: 'a manifest is not valid'},
  run: async (_context, {flags, args}) =>
    checkManifestFiles(args, (flags.for as ManifestSet | undefined) ?? 'minimal'),
  draw: (results) => results.flatMap(linesOf).map(escapeControls).join('\n'),
  statusOf: (results) => (results.every((result) => result.valid) ? 0 : 6),
});

function linesOf({file, valid, errors}: Awaited<ReturnType<typeof checkManifestFiles>>[number]): string[] {
  if (valid) return [`${file}: valid`];
  return errors.map(({field, code, message}) => {
    return [file, field, code, message].filter((part) => part !== undefined && part !== '').join(': ');
  });
}
