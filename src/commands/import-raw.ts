import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('import-raw', {
  summary: 'store a disk image',
  description:
    'The image may be raw or qcow2, plain or compressed with gzip, bzip2, xz or zstd; a sparse raw disk is stored.',
  subject: {name: 'FILE', summary: 'the image; "-" is standard input'},
  examples: ['import-raw -m disk.qcow2', 'import-raw -m --read-only disk.raw.zst base'],
});
