import {listTransfers} from '../actions/transfers.ts';
import {drawList} from '../cli/importctl/draw-list.ts';
import {transferColumns, transferJson, transferRow} from '../cli/importctl/lists.ts';
import {defineVerb} from '../cli/importctl/verbs.ts';

const shape = {columns: transferColumns, row: transferRow, json: transferJson, noun: 'transfers'};

export default defineVerb({
  id: 'list-transfers',
  summary: 'list running pulls, imports and exports',
  description: 'Those of every process that works with the same root are listed.',
  kind: 'list',
  args: [],
  examples: ['list-transfers', 'list-transfers -j'],
  run: async (context, {settings}) => listTransfers(await context.engine(), settings.imageClass),
  draw: (transfers, {settings}, context) => drawList(transfers, shape, settings, context),
});
