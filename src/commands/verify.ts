import {verifyImages} from '../actions/verify.ts';
import {defineCommand} from '../cli/command.ts';
import {failFastFlag} from '../cli/flags.ts';
import {imageSummary, installedUuid} from '../cli/image-argument.ts';
import {cellText, drawTable} from '../cli/table.ts';

export default defineCommand({
  id: 'verify',
  family: 'imgctl',
  summary: 'compare installed images with what was installed',
  description:
    'Reads all of the images, by default every installed one, and compares their contents with the digest that was recorded when they were installed.',
  flags: failFastFlag,
  args: [{name: 'IMAGE', summary: imageSummary, optional: true, many: true}],
  examples: ['verify', 'verify 01b2c898-945f-11e1-a523-af1afbe22822'],
  exitStatus: {
    3: 'the image is not installed',
    4: 'no image is wrong, but some could not be compared',
    6: 'an image is changed or cannot be read',
  },
  async run(context, {flags, args}) {
    const uuids: string[] = [];
    for (const text of args) uuids.push(await installedUuid(context, text));
    const {signal} = context;
    return verifyImages({...(await context.installed()), signal}, [...new Set(uuids)], {
      isFailFast: flags['fail-fast'],
    });
  },
  draw: ({images}, _input, {tableLook}) =>
    images.length === 0
      ? ''
      : drawTable({
          columns: ['status', 'uuid', 'name', 'version', 'message'],
          rows: images.map(({status, uuid, name, version, message}) =>
            [status, uuid, name, version, message].map(cellText),
          ),
          header: true,
          // Findings are to be read whole.
          ...tableLook,
          terminalColumns: undefined,
        }),
  statusOf: ({problems, unknown}) => (problems > 0 ? 6 : unknown > 0 ? 4 : 0),
});
