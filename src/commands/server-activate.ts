import {changeState} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server activate',
  family: 'imgctl',
  summary: 'make an image of a server visible',
  description: 'An image that has a file is offered from then on, and its file cannot change any more.',
  flags: serverFlags,
  args: serverArguments,
  examples: [
    'server activate https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
    'server activate -C dev https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  run: async (context, {flags, args}) =>
    changeState(
      {report: context.reporter(), signal: context.signal},
      {...(await openServer(context, args, flags)), to: 'activate'},
    ),
});
