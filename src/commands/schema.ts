import {defineCommand} from '../cli/command.ts';
import {findSchema, listSchemas, type SchemaEntry} from '../cli/output-schemas.ts';
import {drawTable} from '../cli/table.ts';

export default defineCommand({
  id: 'schema',
  family: 'imgctl',
  summary: 'print the JSON Schema of what a command prints',
  description:
    'The schema of what COMMAND prints with --json, in JSON Schema 2020-12. Keys keep their names and types from release to release. Without COMMAND it lists the schemas there are; "error" is the object that -E and -j print on failure.',
  flags: {},
  args: [
    {
      name: 'COMMAND',
      summary: 'words of a command, or "error" (default: list them)',
      optional: true,
      many: true,
    },
  ],
  examples: ['schema', 'schema list', 'schema manifest check'],
  run: async (_context, {args}): Promise<SchemaEntry[] | Record<string, unknown>> =>
    args.length === 0 ? listSchemas() : findSchema(args),
  draw: (value, _input, {tableLook}) =>
    Array.isArray(value)
      ? drawTable({
          columns: ['command', 'title'],
          rows: value.map(({command, title}) => [command, title]),
          header: true,
          ...tableLook,
        })
      : JSON.stringify(value, null, 2),
});
