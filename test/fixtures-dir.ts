import path from 'node:path';

const folder = process.env.IMGCTL_FIXTURES ?? path.join(import.meta.dirname, 'fixtures');

/** Path of a fixture, its place given as in the fixture folder, e.g. ('spec', 'fixtures', 'manifest-cases.json'). */
export function fixturePath(...parts: string[]): string {
  return path.join(folder, ...parts);
}
