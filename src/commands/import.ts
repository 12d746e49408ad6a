import {importImage} from '../actions/import.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'import',
  family: 'imgadm',
  summary: 'fetch an image from the sources and install it',
  description:
    'Finds the active image in the sources, fetches it and the origins it needs, compares size and digests with the manifest, and installs them read-only. An interrupted download goes on where it stopped when the command is run again.',
  flags: {
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool to install into (default zones)'},
  },
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: [
    'import 01b2c898-945f-11e1-a523-af1afbe22822',
    'import -q -P zones 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  run: async (context, {flags, args}) =>
    importImage(await context.action(), {text: args[0] ?? '', poolName: flags.pool}),
});
