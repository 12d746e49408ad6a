import {upgradeManifestFile} from '../actions/manifest-check.ts';
import {defineCommand} from '../cli/command.ts';

export default defineCommand({
  id: 'manifest upgrade',
  family: 'imgctl',
  summary: 'print a manifest in the current version',
  description: 'Turns a manifest of version 1 into version 2. One that is current is printed as it is.',
  flags: {},
  args: [{name: 'FILE', summary: 'the manifest'}],
  examples: ['manifest upgrade old.dsmanifest', 'manifest upgrade old.dsmanifest > new.imgmanifest'],
  run: async (_context, {args}) => upgradeManifestFile(args[0] ?? ''),
  draw: (manifest) => JSON.stringify(manifest, null, 2),
});
