import {cloneImage, planClone} from '../actions/clone.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';

export default defineCommand({
  id: 'clone',
  family: 'imgctl',
  summary: 'make an instance, a writable copy of an image',
  description:
    'The instance lies in the pool of its image under NAME, ready for systemd-nspawn, systemd-vmspawn or machinectl. It is a snapshot on btrfs, shares blocks where the file system can, is a clone in a pool of type zfs, and a sparse copy elsewhere.',
  flags: dryRunFlag,
  args: [
    {name: 'IMAGE', summary: imageSummary},
    {name: 'NAME', summary: 'name of the instance'},
  ],
  examples: [
    'clone 01b2c898-945f-11e1-a523-af1afbe22822 web1',
    'clone -j 01b2c898-945f-11e1-a523-af1afbe22822 web2',
  ],
  exitStatus: {3: 'the image is not installed'},
  run: async (context, {flags, args}) => {
    const uuid = await installedUuid(context, args[0] ?? '');
    const make = flags['dry-run'] ? planClone : cloneImage;
    return make(await context.action(), {uuid, name: args[1] ?? ''});
  },
  draw: ({uuid, name, path, dryRun}) =>
    `${dryRun ? '[dry-run] ' : ''}Cloned image ${uuid} to instance "${name}" (${path})`,
});
