/** A process that writes to a catalog: `node catalog-writer.ts DIRECTORY NAME ROUNDS`. */
import {openTestCatalog, recordFor} from './catalogs.ts';

const [directory = '', name = '', rounds = ''] = process.argv.slice(2);
for (let round = 0; round < Number(rounds); round += 1) {
  // Opened anew now and then, as every command does.
  const catalog = await openTestCatalog(directory);
  for (let step = 0; step < 10; step += 1) {
    await catalog.images.put(recordFor(`${name} ${round} ${step}`));
    const listing = {validator: `${round} ${step}`, fetchedAt: ''};
    await catalog.offers.replace(name, [recordFor(`${name} offer`).manifest], listing);
  }
  await catalog.close();
}
