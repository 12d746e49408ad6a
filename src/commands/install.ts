import {installFromFile} from '../actions/install.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag} from '../cli/flags.ts';
import {ImgctlError} from '../errors.ts';

export default defineCommand({
  id: 'install',
  family: 'imgadm',
  summary: 'install an image from a manifest and a file',
  description: 'Compares the file with the size and sha1 of the manifest, and installs it read-only.',
  flags: {
    manifest: {kind: 'string', char: 'm', value: 'MANIFEST', summary: 'the manifest (required)'},
    file: {kind: 'string', char: 'f', value: 'FILE', summary: 'the image file (required)'},
    pool: {kind: 'string', char: 'P', value: 'POOL', summary: 'the pool to install into (default zones)'},
    name: {
      kind: 'string',
      value: 'NAME',
      summary: 'local name, where it is not the UUID (default: of the manifest)',
    },
    ...dryRunFlag,
    quiet: {kind: 'boolean', char: 'q', summary: 'no progress and no notices; warnings and errors stay'},
  },
  args: [],
  examples: [
    'install -m base.imgmanifest -f base.tar.gz',
    'install -q -P zones -m disk.imgmanifest -f disk.raw.xz',
  ],
  run: async (context, {flags}) => {
    if (flags.manifest === undefined || flags.file === undefined) {
      throw new ImgctlError('Usage', 'both -m MANIFEST and -f FILE are required');
    }
    const options = {
      manifestPath: flags.manifest,
      filePath: flags.file,
      cwd: context.environment.cwd,
      poolName: flags.pool,
      localName: flags.name,
      isDryRun: flags['dry-run'],
    };
    return installFromFile(await context.action(), options);
  },
});
