import {getImage} from '../actions/list.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'get',
  aliases: ['info'],
  family: 'imgadm',
  summary: 'print what is known of an installed image',
  flags: {
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool to look in (default zones)'},
    recursive: {kind: 'boolean', char: 'r', summary: 'add what depends on the image'},
  },
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: ['get 01b2c898-945f-11e1-a523-af1afbe22822', 'get -r 01b2c898-945f-11e1-a523-af1afbe22822'],
  exitStatus: {3: 'the image is not installed'},
  run: async (context, {flags, args}) => {
    const uuid = await installedUuid(context, args[0] ?? '', flags.pool);
    const withOwn = context.program === 'imgctl';
    const options = {uuid, poolName: flags.pool, withChildren: flags.recursive, withOwn};
    return getImage({...(await context.reading()), report: context.reporter()}, options);
  },
  draw: (details) => JSON.stringify(details, null, 2),
});
