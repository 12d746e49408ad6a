import {dockerImages, listImages} from '../actions/list.ts';
import {defineCommand} from '../cli/command.ts';
import {
  asksForFields,
  checkListFlags,
  drawDockerRows,
  drawRows,
  fieldsHelp,
  listFlags,
  selectRows,
  wantedRows,
} from '../cli/list-flags.ts';

const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];

export default defineCommand({
  id: 'list',
  family: 'imgadm',
  summary: 'list installed images',
  description:
    'Lists the images that are installed in any pool, oldest first. A filter keeps the images whose FIELD is VALUE; several filters must all match.',
  flags: {
    ...listFlags,
    all: {kind: 'boolean', summary: 'ignored images too, and what the directories hold without a record'},
    docker: {kind: 'boolean', summary: 'images of type docker only, a row for each of their tags'},
  },
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
    const brief = !flags.docker && !wantedRows(flags, args, defaultColumns).whole;
    const rows = await listImages(
      {...(await context.reading()), report: context.reporter()},
      {all: flags.all, brief},
    );
    if (rows.length === 0) context.output.hint('no image is installed; what is offered: imgctl avail');
    if (!flags.docker) return selectRows(rows, flags, args);
    return selectRows(dockerImages(rows), {...flags, sort: 'published_at'}, args);
  },
  draw(rows, {flags}, {terminalColumns, ellipsis}) {
    if (asksForFields(flags)) return fieldsHelp();
    if (flags.docker) return drawDockerRows(rows, {header: !flags['no-header'], terminalColumns, ellipsis});
    return drawRows(rows, flags, {defaultColumns, terminalColumns, ellipsis});
  },
});
