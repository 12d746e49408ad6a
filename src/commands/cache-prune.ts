import {pruneCache} from '../actions/cache-prune.ts';
import {defineCommand} from '../cli/command.ts';
import {formatSize} from '../manifest/size-text.ts';

export default defineCommand({
  id: 'cache prune',
  family: 'imgctl',
  summary: 'remove downloads that are kept',
  description:
    'Removes partial downloads, and whole ones that are older than a week. Those that a running import uses stay.',
  flags: {
    all: {kind: 'boolean', summary: 'every download that is not in use'},
    'dry-run': {kind: 'boolean', char: 'n', summary: 'only say what would be removed'},
  },
  args: [],
  examples: ['cache prune', 'cache prune --all -n'],
  run: async (context, {flags}) =>
    pruneCache(await context.network.downloads(), {all: flags.all, dryRun: flags['dry-run']}),
  draw({files, freedBytes, dryRun}) {
    const mark = dryRun ? '[dry-run] ' : '';
    const lines = files.map((file) => `${mark}Removed ${file.path} (${formatSize(file.sizeBytes)})`);
    if (files.length > 0) lines.push(`${mark}Freed ${formatSize(freedBytes)}`);
    return lines.join('\n');
  },
});
