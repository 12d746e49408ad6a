import {importImage} from '../actions/import.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {imageSummary} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'import',
  family: 'imgadm',
  summary: 'fetch an image from the sources and install it',
  description:
    'Finds the active image in the sources, fetches it and the origins it needs, compares size and digests with the manifest, and installs them read-only. An interrupted download goes on where it stopped when the command is run again.',
  flags: {
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool to install into (default zones)'},
    channel: {
      kind: 'string',
      char: 'C',
      value: 'CHANNEL',
      summary: 'take it from this channel of the sources',
    },
    source: {
      kind: 'strings',
      char: 'S',
      value: 'URL',
      env: 'IMGCTL_SOURCE',
      summary: 'ask this IMGAPI source instead of the configured ones; may be repeated',
    },
    zstream: {kind: 'boolean', summary: 'the file is not compressed; fail if it is'},
    name: {
      kind: 'string',
      value: 'NAME',
      summary: 'local name, where it is not the UUID (default: of the manifest)',
    },
    ...dryRunFlag,
    quiet: {kind: 'boolean', char: 'q', summary: 'no progress and no notices; warnings and errors stay'},
  },
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: [
    'import 01b2c898-945f-11e1-a523-af1afbe22822',
    'import -q -P zones 01b2c898-945f-11e1-a523-af1afbe22822',
    'import -n base-64',
    'import -S http://127.0.0.1:8080 -C dev 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  run: async (context, {flags, args}) => {
    const selection = {urls: flags.source, channel: flags.channel};
    return importImage(await context.action(selection), {
      text: args[0] ?? '',
      poolName: flags.pool,
      localName: flags.name,
      isPlain: flags.zstream,
      isDryRun: flags['dry-run'],
    });
  },
});
