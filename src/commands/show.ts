import {showImage} from '../actions/show.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'show',
  family: 'imgadm',
  summary: 'print the manifest of an offered image',
  description:
    'Asks the sources one after another; the first that has the image answers, whatever state the image is in.',
  flags: {},
  args: [{name: 'IMAGE', summary: imageSummary}],
  examples: ['show 01b2c898-945f-11e1-a523-af1afbe22822', 'show base-64@26.1.0'],
  run: async (context, {args}) => showImage(await context.action(), args[0] ?? ''),
  draw: (manifest) => JSON.stringify(manifest, null, 2),
});
