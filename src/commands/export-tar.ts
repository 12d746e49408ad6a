import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('export-tar', {
  summary: 'write an image as an archive',
  subject: {name: 'NAME', summary: 'the image'},
  examples: ['export-tar -m web web.tar.xz', 'export-tar -m --format=gzip web - | wc -c'],
});
