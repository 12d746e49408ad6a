import {cancelTransfers} from '../actions/transfers.ts';
import {defineVerb, drawOutcome} from '../cli/importctl/verbs.ts';

export default defineVerb({
  id: 'cancel-transfer',
  summary: 'stop running transfers',
  description: 'A transfer of any process that works with the same root. What it had downloaded is kept.',
  kind: 'none',
  args: [{name: 'ID', summary: 'ids as list-transfers shows them', many: true}],
  examples: ['cancel-transfer 4', 'cancel-transfer 4 5'],
  run: async (context, {words}) => cancelTransfers(await context.engine(), words),
  draw: drawOutcome,
});
