import {useQuarantine} from '../actions/quarantine.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {cellText, drawTable} from '../cli/table.ts';
import {formatSize} from '../manifest/size-text.ts';

/** Digits of a digest that are shown, and enough to name it. */
const idDigits = 12;

export default defineCommand({
  id: 'quarantine',
  family: 'imgctl',
  summary: 'look at downloads that failed their verification',
  description:
    'Lists them, shows one with the reason, or deletes them. Nothing ever uses such a file; it is kept for whoever wants to know what was served.',
  flags: dryRunFlag,
  args: [
    {name: 'WORD', summary: 'list (default), show, delete or clear', optional: true},
    {name: 'ID', summary: 'beginning of the digest of a file', optional: true, many: true},
  ],
  examples: [
    'quarantine',
    'quarantine show 0a1b2c3d4e5f',
    'quarantine delete 0a1b2c3d4e5f',
    'quarantine clear',
  ],
  run: async (context, {flags, args}) => {
    const {quarantine} = await context.network.downloads();
    return useQuarantine(quarantine, args, {isDryRun: flags['dry-run']});
  },
  draw({action, files, dryRun}, {args}) {
    if (action === 'deleted')
      return files
        .map(({sha256}) => `${dryRun ? '[dry-run] ' : ''}Deleted ${sha256.slice(0, idDigits)}`)
        .join('\n');
    if (args[0] === 'show') {
      const [file] = files;
      return Object.entries(file ?? {})
        .map(([key, value]) => `${key}: ${cellText(value)}`)
        .join('\n');
    }
    if (files.length === 0) return '';
    return drawTable({
      columns: ['id', 'since', 'size', 'kept', 'reason'],
      rows: files.map(({sha256, quarantinedAt, sizeBytes, path, reason}) =>
        [
          sha256.slice(0, idDigits),
          quarantinedAt,
          formatSize(sizeBytes),
          path === undefined ? 'no' : 'yes',
          reason,
        ].map(cellText),
      ),
      header: true,
      // Reasons are to be read whole.
      terminalColumns: undefined,
    });
  },
});
