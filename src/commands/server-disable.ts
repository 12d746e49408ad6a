import {changeState} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server disable',
  family: 'imgctl',
  summary: 'withdraw an image of a server from lists',
  description: 'The image can still be fetched by its UUID.',
  flags: serverFlags,
  args: serverArguments,
  examples: [
    'server disable https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
    'server disable -C dev https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  run: async (context, {flags, args}) =>
    changeState(
      {report: context.reporter(), signal: context.signal},
      {...(await openServer(context, args, flags)), to: 'disable'},
    ),
});
