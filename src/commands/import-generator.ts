import path from 'node:path';
import {defineCommand} from '../cli/command.ts';
import {runImportGenerator} from '../cli/import-generator.ts';
import {packageRoot} from '../cli/package-root.ts';

export default defineCommand({
  id: 'import-generator',
  family: 'imgctl',
  summary: 'write units that fetch images at boot',
  description:
    'Does what systemd-import-generator does: reads systemd.pull= of the kernel command line and the credential import.pull, also the files of wanted.d, and writes a unit for each image. It fetches nothing itself. The program bin/systemd-import-generator does the same, starts faster, and can be linked into the generator directory.',
  flags: {
    compat: {
      kind: 'string',
      value: 'VERSION',
      options: ['257'],
      env: 'IMGCTL_GENERATOR_COMPAT',
      summary: 'write what the generator of systemd 257 writes',
    },
  },
  args: [
    {name: 'NORMAL', summary: 'directory for units of normal priority; the only one used'},
    {name: 'EARLY', summary: 'directory for units of early priority', optional: true},
    {name: 'LATE', summary: 'directory for units of late priority', optional: true},
  ],
  examples: ['import-generator /run/systemd/generator', 'import-generator --compat=257 normal early late'],
  exitStatus: {1: 'a unit could not be written', 234: 'neither one nor three directories'},
  run: async (context, {flags, args}) => ({
    exitStatus: runImportGenerator({
      directories: args,
      compat: flags.compat,
      env: context.environment.env,
      configDirectory: path.dirname(context.paths.configFile),
      launcher: path.join(packageRoot(), 'bin/imgctl'),
    }),
  }),
  draw: () => '',
  statusOf: ({exitStatus}) => exitStatus,
});
