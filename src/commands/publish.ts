import {publishImage} from '../actions/publish.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'publish',
  family: 'imgadm',
  summary: 'upload a manifest and its file to an image server',
  description:
    'Compares the file with the manifest, imports the manifest on the server, adds the file and activates the image. A step that fails for a passing reason is tried again; when one fails for good, the image is deleted on the server. What a publish of the same image that was cut off left there is gone on with.\n\nWhere the server is a configured source that has a user, requests are signed or carry its password.',
  flags: {
    manifest: {kind: 'string', char: 'm', value: 'MANIFEST', summary: 'the manifest (required)'},
    file: {kind: 'string', char: 'f', value: 'FILE', summary: 'the image file (required)'},
    channel: {kind: 'string', char: 'C', value: 'CHANNEL', summary: 'publish to this channel of the server'},
    keep: {kind: 'boolean', summary: 'leave a half-published image on the server'},
    ...dryRunFlag,
    quiet: {kind: 'boolean', char: 'q', summary: 'no progress and no notices; warnings and errors stay'},
  },
  args: [{name: 'URL', summary: 'the image server; imgctl also takes the name of a source'}],
  examples: [
    'publish -m base.imgmanifest -f base.tar.gz http://127.0.0.1:8080',
    'publish -q -m disk.imgmanifest -f disk.raw.xz http://127.0.0.1:8080',
    'publish -C staging -m base.imgmanifest -f base.tar.gz corp',
  ],
  run: async (context, {flags, args}) => {
    if (flags.manifest === undefined || flags.file === undefined) {
      throw new ImgctlError('Usage', 'both -m MANIFEST and -f FILE are required');
    }
    const server = args[0] ?? '';
    const url = await context.network.serverUrl(server);
    const client = await context.network.imgapi(server, flags.channel);
    return publishImage(
      {report: context.reporter(), signal: context.signal, program: context.program},
      {
        manifestPath: flags.manifest,
        filePath: flags.file,
        url,
        client,
        retries: context.network.retries,
        keep: flags.keep,
        isDryRun: flags['dry-run'],
      },
    );
  },
});
