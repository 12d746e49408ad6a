import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('export-raw', {
  summary: 'write a disk image to a file',
  subject: {name: 'NAME', summary: 'the image'},
  examples: ['export-raw -m disk disk.raw.zst', 'export-raw -m --format=xz disk - | wc -c'],
});
