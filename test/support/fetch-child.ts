/** A process of its own that fetches one file and says so: `node fetch-child.ts DIRECTORY URL SHA1 SIZE`. */
import {fetchRequest, openCache, openHttp} from './fetches.ts';

const [directory = '', url = '', sha1 = '', size = ''] = process.argv.slice(2);
const http = openHttp();
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
try {
  const expected = {sizeBytes: Number(size), sha1};
  const onProgress: Parameters<typeof fetchRequest>[3] = {onProgress: (progress) => say({progress})};
  const file = await openCache(directory).fetch(fetchRequest(http, url, expected, onProgress));
  say({file});
  await file.release();
} catch (error) {
  const {code, message} = error as {code?: string; message: string};
  say({error: {code, message}});
}
http.close();
