import {deleteImage, planDelete} from '../actions/delete.ts';
import {getImage} from '../actions/list.ts';
import {defineCommand} from '../cli/command.ts';
import {confirm} from '../cli/confirm.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';
import {imageTitle} from '../manifest/manifest.ts';

export default defineCommand({
  id: 'delete',
  aliases: ['destroy'],
  family: 'imgadm',
  summary: 'remove an installed image',
  description: 'Refuses while instances or child images depend on it.',
  flags: {
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool it is in (default zones)'},
    ...dryRunFlag,
    yes: {kind: 'boolean', summary: 'do not ask, although the image is not named by its full UUID'},
  },
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: [
    'delete 01b2c898-945f-11e1-a523-af1afbe22822',
    'delete -P zones 01b2c898-945f-11e1-a523-af1afbe22822',
  ],
  exitStatus: {3: 'the image is not installed'},
  async run(context, {flags, args: [text = '']}) {
    const uuid = await installedUuid(context, text, flags.pool);
    const action = await context.action();
    if (flags['dry-run']) return planDelete(action, {uuid, poolName: flags.pool});
    if (uuid !== text && !flags.yes) {
      const {manifest} = await getImage(action, {uuid, poolName: flags.pool, withChildren: false});
      const plan = ['This will delete the following images:', `    ${uuid} (${imageTitle(manifest)})`];
      if (!(await confirm(context, plan, 'Delete this image?'))) {
        context.output.step('Aborting');
        return {action: 'deleted', uuid, changed: false};
      }
    }
    return deleteImage(action, {uuid, poolName: flags.pool});
  },
});
