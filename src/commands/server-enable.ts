import {changeState} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server enable',
  family: 'imgctl',
  summary: 'offer a disabled image of a server again',
  description: 'Undoes imgctl server disable.',
  flags: serverFlags,
  args: serverArguments,
  examples: [
    'server enable https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
    'server enable -C dev https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  run: async (context, {flags, args}) =>
    changeState(
      {report: context.reporter(), signal: context.signal},
      {...(await openServer(context, args, flags)), to: 'enable'},
    ),
});
