/**
 * The bus service: puts the embedded engine on the bus as org.freedesktop.import1, each transfer in a process of its
 * own, and leaves when nothing has gone on for a while (spec/import1-dbus.md §8, §9).
 */

import {readFileSync} from 'node:fs';
import path from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {busAddress} from '../../dbus/bus-address.ts';
import {BusConnection} from '../../dbus/bus-connection.ts';
import {Authority} from '../../dbus/service/authority.ts';
import {busAuthoritySources} from '../../dbus/service/bus-authority.ts';
import {IdleWatch} from '../../dbus/service/idle-watch.ts';
import {busName} from '../../dbus/service/interfaces.ts';
import {TransferService} from '../../dbus/service/service.ts';
import {TransferTable} from '../../dbus/service/transfer-table.ts';
import {ImportVarlink} from '../../dbus/varlink/import-service.ts';
import {hasPassedSocket, VarlinkServer} from '../../dbus/varlink/server.ts';
import type {StoredImage} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import {type ImageClass, imageClasses} from '../../import1/image-class.ts';
import {notifySupervisor} from '../../sys/notify.ts';
import {CommandContext} from '../context.ts';
import type {Environment} from '../environment.ts';
import {Output} from '../output.ts';
import {packageVersion} from '../package-root.ts';
import type {StatePaths} from '../paths.ts';
import {RunLog} from '../run-log.ts';
import {ServiceLog} from './service-log.ts';
import {transferStarter} from './start-transfer.ts';

export interface ImportdOptions {
  environment: Environment;
  /** Aborted by the signals that end the service. */
  signal: AbortSignal;
}

export const programName = 'imgctl-importd';
const idleMs = 30_000;
/** How long canceled transfers may take to clear up; then they end with this process. */
const shutdownMs = 5000;
const errorLevel = 3;
const warningLevel = 4;
/** Beside imgctl's own directory of the same root. */
const varlinkSocket = '../systemd/io.systemd.Import';

/** Serves until it is idle, asked to end, or loses the bus; resolves with the exit status. */
export async function runImportd({environment, signal}: ImportdOptions): Promise<number> {
  const {env, stderr} = environment;
  const log = new ServiceLog({env, stderr, identifier: programName});
  try {
    const bus = await BusConnection.open(busAddress('system', env), {variants: 'wrap'});
    return await serve(bus, {environment, signal, log});
  } catch (error) {
    log.write(errorLevel, error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function serve(
  bus: BusConnection,
  {environment, signal, log}: ImportdOptions & {log: ServiceLog},
): Promise<number> {
  const {env} = environment;
  const {promise: idled, resolve: onIdle} = Promise.withResolvers<void>();
  const idle = new IdleWatch(env.SYSTEMD_EXIT_ON_IDLE === '0' ? 0 : idleMs, onIdle);
  const context = contextOf(environment, signal);
  const transfers = new TransferTable(transferStarter({env, flags: context.placeFlags()}));
  const authority = new Authority(busAuthoritySources(bus, environment.uid));
  const service = new TransferService({
    bus,
    transfers,
    idle,
    logSettings: log,
    authority,
    machineId: () => readFileSync('/etc/machine-id', 'utf8').trim(),
    listImages: (imageClass) => listImages(context, imageClass),
  });
  watchTransfers(transfers, {idle, log});
  if (!(await service.start())) {
    await idle.stop();
    await bus.close();
    throw new ImgctlError('BusUnavailable', `The name ${busName} is taken`);
  }
  const varlink = await startVarlink({environment, paths: context.paths, transfers, authority, idle, log});
  notifySupervisor(env.NOTIFY_SOCKET, 'READY=1\nSTATUS=Processing requests...');
  const lost = await Promise.race([idled, aborted(signal), bus.closed]);
  notifySupervisor(env.NOTIFY_SOCKET, 'STOPPING=1\nSTATUS=Shutting down...');
  varlink?.close();
  if (lost || signal.aborted) {
    // Signals of their end are only told to those who know us by our name.
    transfers.cancelAll();
    await Promise.race([idle.stop(), setTimeout(shutdownMs, undefined, {ref: false})]);
  }
  if (!lost) await bus.releaseName(busName);
  // A call may have come between the last one and the release; it is answered, and what it began goes on to its end.
  if (!lost && !signal.aborted) await Promise.race([idle.stop(), aborted(signal)]);
  await bus.close();
  await context.close();
  if (lost) throw lost;
  return 0;
}

interface VarlinkParts {
  environment: Environment;
  paths: StatePaths;
  transfers: TransferTable;
  authority: Authority;
  idle: IdleWatch;
  log: ServiceLog;
}

/** Undefined where the socket cannot be had: the service on the bus does not need it. */
async function startVarlink(parts: VarlinkParts): Promise<VarlinkServer | undefined> {
  const {environment, paths, idle, log, transfers, authority} = parts;
  const {env} = environment;
  const socket = path.join(paths.runtimeDirectory, varlinkSocket);
  const service = new ImportVarlink({
    transfers,
    authority,
    logSettings: log,
    imageRoots: imageClasses.flatMap((one) => [paths.imageDirectory(one), paths.runtimeImageDirectory(one)]),
    version: packageVersion(),
    environment: env,
  });
  const server = new VarlinkServer({idle, handler: (call) => service.answer(call)});
  try {
    await server.listen(socket, hasPassedSocket(env, process.pid));
    return server;
  } catch (error) {
    log.write(warningLevel, `Ignoring that "${socket}" cannot be served: ${(error as Error).message}`);
    return undefined;
  }
}

function contextOf(environment: Environment, signal: AbortSignal): CommandContext {
  const output = new Output(environment, {subject: programName, quiet: true, json: true});
  const {log} = new RunLog(environment, 'imgctl');
  return new CommandContext({program: 'imgctl', environment, flags: {quiet: true}, output, signal, log});
}

/** What goes on keeps the service; what is said is logged as importd logs it. */
function watchTransfers(transfers: TransferTable, {idle, log}: {idle: IdleWatch; log: ServiceLog}): void {
  const ends = new Map<number, () => void>();
  transfers.listen({
    onNew: ({id}) => void ends.set(id, idle.begin()),
    onLog: ({id}, priority, line) => log.write(priority & 7, `(transfer${id}) ${line}`),
    onProgress: () => undefined,
    onRemoved: ({id, end}) => {
      ends.get(id)?.();
      ends.delete(id);
      if (end?.signal) log.write(errorLevel, `Transfer process terminated by signal ${end.signal}.`);
      else if (end?.exitCode)
        log.write(errorLevel, `Transfer process failed with exit code ${end.exitCode}.`);
    },
  });
}

/** A named class that cannot be read is the caller's error; of all classes, one that cannot is left out. */
async function listImages(context: CommandContext, named: ImageClass | undefined): Promise<StoredImage[]> {
  const engine = await context.engine();
  const lists = (named ? [named] : imageClasses).map(async (imageClass) => {
    const store = {imageClass, directory: context.paths.imageDirectory(imageClass)};
    const list = engine.listImages(store, {withHidden: true});
    return named ? list : list.catch(() => []);
  });
  return (await Promise.all(lists)).flat();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
}
