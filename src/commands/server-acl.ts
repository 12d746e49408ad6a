import {changeServerAcl} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server acl',
  family: 'imgctl',
  summary: 'share a private image of a server with accounts',
  flags: {
    ...serverFlags,
    remove: {kind: 'boolean', summary: 'take the accounts off the list instead'},
  },
  args: [...serverArguments, {name: 'ACCOUNT', summary: 'UUIDs of accounts', many: true}],
  examples: [
    'server acl https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 930896af-bf8c-48d4-885c-6573a94b1853',
    'server acl --remove https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 930896af-bf8c-48d4-885c-6573a94b1853',
  ],
  run: async (context, {flags, args}) =>
    changeServerAcl(
      {report: context.reporter(), signal: context.signal},
      {...(await openServer(context, args, flags)), accounts: args.slice(2), remove: flags.remove},
    ),
});
