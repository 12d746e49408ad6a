import {convertFile} from '../actions/convert.ts';
import {defineCommand} from '../cli/command.ts';
import {ImgctlError} from '../errors.ts';
import {formatSize} from '../manifest/size-text.ts';

const formats = ['tar', 'raw', 'qcow2'] as const;

export default defineCommand({
  id: 'convert',
  family: 'imgctl',
  summary: 'make another format of an image file',
  description:
    'Reads a tar archive, a raw disk, a qcow2 disk or a ZFS send stream, compressed or not, told apart by its bytes. Trees of files become tar archives, disks become raw or qcow2; neither becomes the other.',
  flags: {
    to: {kind: 'string', value: 'FORMAT', options: formats, summary: 'the format to make (required)'},
    output: {kind: 'string', char: 'o', value: 'OUT', summary: 'the file to write (required)'},
    force: {kind: 'boolean', char: 'f', summary: 'replace OUT if it is there'},
  },
  args: [{name: 'FILE', summary: 'the image file'}],
  examples: ['convert base.zfs.gz --to tar -o base.tar', 'convert disk.zvol.bz2 --to qcow2 -o disk.qcow2'],
  exitStatus: {3: 'the file holds changes of an origin'},
  run: async (context, {flags, args}) => {
    const {to, output, force} = flags;
    if (to === undefined || output === undefined)
      throw new ImgctlError('Usage', 'both --to FORMAT and -o OUT are required');
    const parts = {engine: await context.engine(), report: context.reporter(), signal: context.signal};
    const options = {file: args[0] ?? '', to: to as (typeof formats)[number], output, force};
    return convertFile(parts, {...options, cwd: context.environment.cwd});
  },
  draw: ({file, output, to, sizeBytes}) => `Converted ${file} to ${output} (${to}, ${formatSize(sizeBytes)})`,
});
