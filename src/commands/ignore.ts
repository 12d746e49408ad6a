import {ignoreImage} from '../actions/ignore.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'ignore',
  family: 'imgctl',
  summary: 'leave an installed image out of lists',
  description: 'The image stays installed and every other command finds it; list shows it with --all only.',
  flags: {off: {kind: 'boolean', summary: 'list it again'}},
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: [
    'ignore 01b2c898-945f-11e1-a523-af1afbe22822',
    'ignore --off 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  exitStatus: {3: 'the image is not installed'},
  async run(context, {flags, args}) {
    const uuid = await installedUuid(context, args[0] ?? '');
    return ignoreImage(await context.action(), {uuid, off: flags.off});
  },
  draw({action, uuid, changed}) {
    if (!changed)
      return `Image ${uuid} is ${action === 'ignored' ? 'ignored already' : 'not ignored'}, no change`;
    return action === 'ignored' ? `Ignoring image ${uuid}` : `No longer ignoring image ${uuid}`;
  },
});
