import {readFile} from 'node:fs/promises';
import {addServerIcon} from '../actions/server-images.ts';
import {defineCommand} from '../cli/command.ts';
import {openServer, serverArguments, serverFlags} from '../cli/server-command.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'server add-icon',
  family: 'imgctl',
  summary: 'give an image on a server an icon',
  description: 'A PNG, GIF or JPEG picture of at most 128 KiB. It replaces an icon that is there.',
  flags: serverFlags,
  args: [...serverArguments, {name: 'FILE', summary: 'the picture'}],
  examples: [
    'server add-icon https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 icon.png',
    'server add-icon -C dev https://images.example.com 01b2c898-945f-11e1-a523-af1afbe22822 icon.png',
  ],
  async run(context, {flags, args}) {
    const file = args[2] ?? '';
    const bytes = await readFile(file).catch((error: Error) => {
      throw new ImgctlError('InvalidArgument', `cannot read icon "${file}": ${error.message}`, {
        cause: error,
      });
    });
    const server = await openServer(context, args, flags);
    return addServerIcon({report: context.reporter(), signal: context.signal}, {...server, bytes, file});
  },
});
