import {dockerImages, listImages} from '../actions/list.ts';
import {listImagesText} from '../actions/list-text.ts';
import {defineCommand} from '../cli/command.ts';
import {
  asksForFields,
  checkListFlags,
  drawDockerRows,
  drawRows,
  fieldsHelp,
  longListFlags,
  selectRows,
  textQuestion,
  wantedRows,
} from '../cli/list-flags.ts';

const defaultColumns = ['uuid', 'name', 'version', 'os', 'published'];

export default defineCommand({
  id: 'list',
  family: 'imgadm',
  isPaged: true,
  summary: 'list installed images',
  description:
    'Lists the images that are installed in any pool, oldest first. A filter keeps the images whose FIELD is VALUE; several filters must all match.',
  flags: {
    ...longListFlags,
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
    const {whole, byDate} = wantedRows(flags, args, defaultColumns);
    const reading = await context.reading();
    const question = flags.all || flags.docker ? undefined : textQuestion(flags, args, defaultColumns);
    const text = question && (await listImagesText(reading, question));
    if (text !== undefined) return text;
    const rows = await listImages(
      {...reading, report: context.reporter()},
      {all: flags.all, ...(!flags.docker && !whole && {brief: {byDate}})},
    );
    if (rows.length === 0) context.output.hint('no image is installed; what is offered: imgctl avail');
    const selected = flags.docker
      ? selectRows(dockerImages(rows), {...flags, sort: 'published_at'}, args)
      : selectRows(rows, flags, args);
    if (rows.length > 0 && selected.length === 0)
      context.output.hint(
        `no installed image matches ${args.join(' ') || '--docker'}; without that there are ${rows.length}`,
      );
    return selected;
  },
  draw(rows, {flags}, {tableLook}) {
    if (asksForFields(flags)) return fieldsHelp();
    if (typeof rows === 'string') return rows;
    if (flags.docker) return drawDockerRows(rows, {header: !flags['no-header'], ...tableLook});
    return drawRows(rows, flags, {defaultColumns, look: tableLook});
  },
});
