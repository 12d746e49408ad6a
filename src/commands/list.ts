import {listImages} from '../actions/list.ts';
import {defineCommand} from '../cli/command.ts';
import {
  asksForFields,
  checkListFlags,
  drawRows,
  fieldsHelp,
  listFlags,
  selectRows,
} from '../cli/list-flags.ts';

const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];

export default defineCommand({
  id: 'list',
  family: 'imgadm',
  summary: 'list installed images',
  description:
    'Lists the images that are installed in any pool, oldest first. A filter keeps the images whose FIELD is VALUE; several filters must all match.',
  flags: listFlags,
  args: [
    {
      name: 'FILTER',
      summary: 'FIELD=VALUE, FIELD=~TEXT, FIELD!=VALUE or FIELD>=VALUE',
      optional: true,
      many: true,
    },
  ],
  examples: ['list', 'list -H -o uuid,name,version os=linux', 'list -j'],
  async run(context, {flags, args}) {
    if (asksForFields(flags)) return [];
    checkListFlags(flags, args, defaultColumns);
    return selectRows(await listImages(await context.installed()), flags, args);
  },
  draw: (rows, {flags}, context) =>
    asksForFields(flags)
      ? fieldsHelp()
      : drawRows(rows, flags, {defaultColumns, terminalColumns: context.terminalColumns}),
});
