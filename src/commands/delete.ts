import {deleteImage} from '../actions/delete.ts';
import {defineCommand} from '../cli/command.ts';

export default defineCommand({
  id: 'delete',
  aliases: ['destroy'],
  family: 'imgadm',
  summary: 'remove an installed image',
  description: 'Refuses while instances or child images depend on it.',
  flags: {
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool it is in (default zones)'},
  },
  args: [{name: 'UUID', summary: 'the image'}],
  examples: [
    'delete 01b2c898-945f-11e1-a523-af1afbe22822',
    'delete -P zones 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  exitStatus: {3: 'the image is not installed'},
  run: async (context, {flags, args}) =>
    deleteImage(await context.action(), {uuid: args[0] ?? '', poolName: flags.pool}),
});
