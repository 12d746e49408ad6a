import {importMigrated, type MigrationResult, migrateImgadm, tellImages} from '../actions/migrate-imgadm.ts';
import {defineCommand} from '../cli/command.ts';
import {dryRunFlag, failFastFlag} from '../cli/flags.ts';

export default defineCommand({
  id: 'migrate-imgadm',
  family: 'imgctl',
  summary: 'take over sources and images of SmartOS imgadm',
  description:
    'Reads a copy of /var/imgadm (or of the older /var/db/imgadm) of another host, adds its sources to the configuration, and prints which of its images must be imported again. The data of images is not taken over.',
  flags: {
    ...dryRunFlag,
    ...failFastFlag,
    import: {kind: 'boolean', summary: 'import them right away'},
  },
  args: [{name: 'DIR', summary: 'the copy, or a directory with var/imgadm below it'}],
  examples: ['migrate-imgadm /mnt/var/imgadm', 'migrate-imgadm --import /mnt'],
  exitStatus: {4: 'some images could not be imported'},
  async run(context, {flags, args}): Promise<MigrationResult> {
    const parts = {
      ...(await context.installed()),
      ...(await context.sourcesContext({isDryRun: flags['dry-run']})),
      program: context.program,
    };
    const result = await migrateImgadm(parts, args[0] ?? '');
    if (flags.import && !flags['dry-run'])
      return importMigrated(await context.action(), result, {isFailFast: flags['fail-fast']});
    tellImages(parts, result);
    return flags['dry-run'] ? {...result, dryRun: true} : result;
  },
  statusOf: (result) => (result.images.some((image) => image.error !== undefined) ? 4 : 0),
});
