import {examine} from '../actions/doctor.ts';
import {defineCommand} from '../cli/command.ts';
import {cellText, drawTable} from '../cli/table.ts';

export default defineCommand({
  id: 'doctor',
  family: 'imgctl',
  summary: 'look whether host and catalog are in order',
  description:
    'Looks at what the host can do (Node, sandbox, file systems of the pools, keyrings), and compares the catalog with the records and the images.',
  flags: {
    repair: {kind: 'boolean', summary: 'mend the catalog and the records, from what is there'},
  },
  args: [],
  examples: ['doctor', 'doctor --repair'],
  exitStatus: {6: 'problems are left'},
  run: async (context, {flags}) => examine(await context.doctor(), {repair: flags.repair}),
  draw: ({checks}, _input, {tableLook}) =>
    drawTable({
      columns: ['status', 'subject', 'message'],
      rows: checks.map((check) => [check.status, check.subject, check.message].map(cellText)),
      header: true,
      // Findings are to be read whole.
      ...tableLook,
      terminalColumns: undefined,
    }),
  statusOf: ({problems}) => (problems > 0 ? 6 : 0),
});
