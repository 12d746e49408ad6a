import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('pull-raw', {
  summary: 'download a disk image',
  description:
    'Downloads over http, https or file, verifies as --verify says, decompresses, and stores a sparse raw disk. qcow2 is converted.',
  subject: {name: 'URL', summary: 'where the image is'},
  examples: [
    'pull-raw -m https://example.com/disk.raw.xz',
    'pull-raw -P --verify=no https://example.com/app.raw app',
  ],
});
