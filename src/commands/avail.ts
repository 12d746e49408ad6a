import {listAvailable} from '../actions/avail.ts';
import {defineCommand} from '../cli/command.ts';
import {defaultSource} from '../cli/config.ts';
import {
  asksForFields,
  checkListFlags,
  drawRows,
  fieldsHelp,
  longListFlags,
  selectRows,
  textQuestion,
  wantedRows,
} from '../cli/list-flags.ts';

const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];

export default defineCommand({
  id: 'avail',
  aliases: ['available'],
  family: 'imgadm',
  isPaged: true,
  summary: 'list images that the sources offer',
  description:
    'Asks all sources at once and lists the active images they offer. A source that fails does not hide the answers of the others; the exit status is then 1.',
  flags: longListFlags,
  args: [
    {
      name: 'FILTER',
      summary: 'FIELD=VALUE, FIELD=~TEXT, FIELD!=VALUE or FIELD>=VALUE',
      optional: true,
      many: true,
    },
  ],
  examples: ['avail', 'avail os=linux name=~base', 'avail -H -o uuid -s -published_at'],
  async run(context, {flags, args}) {
    if (asksForFields(flags)) return [];
    checkListFlags(flags, args, defaultColumns);
    const [settings] = await context.network.sourceSettings();
    const isBuiltIn = settings === defaultSource;
    if (isBuiltIn)
      context.output.hint(
        'no source is configured, so the images of SmartOS are asked for; to add one of yours: imgctl sources -a URL',
      );
    const {rows, text, failure, asked, answered} = await listAvailable(
      await context.offers(),
      wantedRows(flags, args, defaultColumns),
      textQuestion(flags, args, defaultColumns),
    );
    context.failLater(failure);
    if (text !== undefined) return text;
    const selected = selectRows(rows, flags, args);
    if (selected.length === 0 && answered > 0) {
      const what = args.length > 0 ? `an image matching ${args.join(' ')}` : 'an image';
      context.output.hint(`no source offers ${what}; ${answered} of ${asked} sources answered`);
    }
    return selected;
  },
  draw(rows, {flags}, {tableLook}) {
    if (asksForFields(flags)) return fieldsHelp();
    return typeof rows === 'string' ? rows : drawRows(rows, flags, {defaultColumns, look: tableLook});
  },
});
