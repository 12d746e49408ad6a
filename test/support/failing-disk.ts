/** A disk whose n-th operation fails, for the code of this process: what changes files through `node:fs`. */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import {syncBuiltinESMExports} from 'node:module';

type Operation = (...args: unknown[]) => unknown;

/** What changes files; removals are left alone, they are what cleans up. */
const promised = ['mkdir', 'open', 'rename'];
const called = ['open', 'write', 'writev', 'fsync'];
const ofHandles = ['writeFile', 'sync'];

export interface FailingDisk {
  /** Whether the n-th operation was reached, and failed. */
  hasFailed(): boolean;
  restore(): void;
}

/** From now on the n-th operation fails with EIO, counted from 1. */
export async function failOperation(n: number): Promise<FailingDisk> {
  const restores: (() => void)[] = [];
  let count = 0;
  const isDue = (): boolean => {
    count += 1;
    return count === n;
  };
  const replace = (target: object, name: string, make: (original: Operation) => Operation): void => {
    const methods = target as Record<string, Operation>;
    const original = methods[name]!;
    methods[name] = make(original);
    restores.push(() => {
      methods[name] = original;
    });
  };
  const rejecting = (original: Operation): Operation =>
    async function (this: unknown, ...args) {
      if (isDue()) throw inputOutputError();
      return original.apply(this, args);
    };
  const calling = (original: Operation): Operation =>
    function (this: unknown, ...args) {
      if (!isDue()) return original.apply(this, args);
      return (args.at(-1) as Operation)(inputOutputError());
    };
  const handle = await promises.open('/dev/null');
  const handles = Object.getPrototypeOf(handle) as object;
  await handle.close();
  for (const name of promised) replace(promises, name, rejecting);
  for (const name of called) replace(fs, name, calling);
  for (const name of ofHandles) replace(handles, name, rejecting);
  syncBuiltinESMExports();
  return {
    hasFailed: () => count >= n,
    restore: () => {
      for (const restore of restores) restore();
      syncBuiltinESMExports();
    },
  };
}

function inputOutputError(): Error {
  return Object.assign(new Error('EIO: i/o error'), {code: 'EIO', errno: -5});
}
