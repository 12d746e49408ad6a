import {findNewerOffers, type NewerOffer} from '../actions/newer-offers.ts';
import {type UpdateResult, updateImages} from '../actions/update.ts';
import {defineCommand} from '../cli/command.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';
import {cellText, drawTable} from '../cli/table.ts';
import {ImgctlError} from '../errors.ts';
import {formatSize} from '../manifest/size-text.ts';

const columns = ['uuid', 'name', 'installed', 'available', 'download'];

export default defineCommand({
  id: 'update',
  family: 'imgadm',
  summary: 'bring what is known of installed images up to date',
  description:
    'Asks the sources for the manifests of the installed images, or of those named, and keeps what changed. Data that has the name of an image but no manifest gets one, and images that could be written are made read-only. No image is downloaded.',
  flags: {
    'dry-run': {kind: 'boolean', char: 'n', summary: 'tell what would change, and change nothing'},
    check: {kind: 'boolean', summary: 'list the images of which a newer version is offered, and do nothing'},
  },
  args: [{name: 'IMAGE', summary: imageSummary, optional: true, many: true}],
  examples: ['update', 'update -n', 'update --check'],
  exitStatus: {6: 'newer versions are offered (--check)'},
  async run(context, {flags, args}): Promise<UpdateResult | NewerOffer[]> {
    const uuids: string[] = [];
    for (const text of args) uuids.push(await installedUuid(context, text));
    const action = await context.action();
    if (!flags.check) return updateImages(action, {uuids, dryRun: flags['dry-run']});
    if (flags['dry-run']) throw new ImgctlError('Usage', '"--check" changes nothing; leave out "-n"');
    const {rows, failure} = await findNewerOffers(action, uuids);
    context.failLater(failure);
    return rows;
  },
  draw(result, _input, {tableLook}) {
    if (!Array.isArray(result)) return '';
    const rows = result.map(({uuid, name, installed, available, sizeBytes}) => {
      const size = sizeBytes === undefined ? undefined : formatSize(sizeBytes);
      return [uuid, name, installed, available, size].map(cellText);
    });
    return drawTable({columns, rows, header: true, ...tableLook});
  },
  statusOf: (result) => (Array.isArray(result) && result.length > 0 ? 6 : 0),
});
