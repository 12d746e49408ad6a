import {deleteServerImage} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {confirm} from '../cli/confirm.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';

export default defineCommand({
  id: 'server delete',
  family: 'imgctl',
  summary: 'delete an image on a server',
  description:
    'On servers with channels the image leaves its channel, and goes for good with its last one. Refused while other images there have it as their origin. Asks first, unless told not to.',
  flags: {
    ...serverFlags,
    'all-channels': {kind: 'boolean', summary: 'from every channel, for good'},
    yes: {kind: 'boolean', summary: 'do not ask'},
  },
  args: serverArguments,
  examples: [
    'server delete --yes https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
    'server delete --yes --all-channels https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  async run(context, {flags, args}) {
    const server = await openServer(context, args, flags);
    const {uuid} = server;
    if (
      !flags.yes &&
      !(await confirm(context, [`This will delete image ${uuid} on ${args[0]}`], 'Delete this image?'))
    ) {
      context.output.step('Aborting');
      return {action: 'deleted', uuid, changed: false};
    }
    const parts = {report: context.reporter(), signal: context.signal};
    return {
      ...(await deleteServerImage(parts, {...server, allChannels: flags['all-channels']})),
      changed: true,
    };
  },
});
