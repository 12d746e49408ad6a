import {listStoredImages} from '../actions/transfers.ts';
import {drawList} from '../cli/importctl/draw-list.ts';
import {imageColumns, imageJson, imageRow} from '../cli/importctl/lists.ts';
import {defineVerb} from '../cli/importctl/verbs.ts';

const shape = {columns: imageColumns, row: imageRow, json: imageJson, noun: 'images'};

export default defineVerb({
  id: 'list-images',
  summary: 'list what lies in the image directories',
  description:
    'Images of all classes, whoever put them there. Those that imgctl installed with a manifest are listed by list.',
  kind: 'list',
  args: [],
  examples: ['list-images', 'list-images -m --json=pretty'],
  run: async (context, {settings}) => {
    const engine = await context.engine();
    const pools = (await context.pools()).slice(0, 4);
    const records = settings.json === 'off' ? undefined : context.records();
    return listStoredImages(engine, pools, {imageClass: settings.imageClass, records});
  },
  draw: (images, {settings}, context) => drawList(images, shape, settings, context),
});
