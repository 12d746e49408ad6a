import {defineTransfer} from '../cli/importctl/verbs.ts';

export default defineTransfer('import-tar', {
  summary: 'make a tree from an archive',
  description: 'The archive may be plain or compressed with gzip, bzip2, xz or zstd.',
  subject: {name: 'FILE', summary: 'the archive; "-" is standard input'},
  examples: ['import-tar -m root.tar.xz', 'import-tar -m - web < root.tar'],
});
