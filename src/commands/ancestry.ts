import {listAncestry} from '../actions/ancestry.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';
import {checkListFlags, drawRows, listFlags} from '../cli/list-flags.ts';

const defaultColumns = ['uuid', 'name', 'version', 'published'];
const {sort: _never, ...ancestryFlags} = listFlags;

export default defineCommand({
  id: 'ancestry',
  family: 'imgadm',
  summary: 'list an installed image and its origins',
  description: 'The image comes first, its origin next, the base last.',
  flags: {
    ...ancestryFlags,
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool the image is in (default zones)'},
  },
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: [
    'ancestry 01b2c898-945f-11e1-a523-af1afbe22822',
    'ancestry -H -o uuid 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  exitStatus: {3: 'the image, or one of its origins, is not installed'},
  async run(context, {flags, args}) {
    checkListFlags({...flags, sort: undefined}, [], defaultColumns);
    const uuid = await installedUuid(context, args[0] ?? '', flags.pool);
    return listAncestry(await context.installed(), {uuid, poolName: flags.pool});
  },
  draw: (rows, {flags}, {tableLook}) =>
    drawRows(rows, {...flags, sort: undefined}, {defaultColumns, look: tableLook}),
});
