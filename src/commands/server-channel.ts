import {addToServerChannel} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server channel',
  family: 'imgctl',
  summary: 'put an image of a server into one more channel',
  description: 'It stays in the channel it is in, which -C names unless that is the default one.',
  flags: serverFlags,
  args: [...serverArguments, {name: 'CHANNEL', summary: 'the channel it is put into'}],
  examples: [
    'server channel -C dev https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 staging',
    'server channel -C staging https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 release',
  ],
  run: async (context, {flags, args}) =>
    addToServerChannel(
      {report: context.reporter(), signal: context.signal},
      {...(await openServer(context, args, flags)), channel: args[2] ?? ''},
    ),
});
