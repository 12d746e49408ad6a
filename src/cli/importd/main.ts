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
import type {Engine, StoredImage} from '../../engine/engine.ts';
import {ImgctlError} from '../../errors.ts';
import {type ImageClass, imageClasses} from '../../import1/image-class.ts';
import {notifySupervisor} from '../../sys/notify.ts';
import {CommandContext} from '../context.ts';
import type {Environment} from '../environment.ts';
import {Output} from '../output.ts';
import {packageVersion} from '../package-root.ts';
import type {Scope} from '../paths.ts';
import {RunLog} from '../run-log.ts';
import {programName} from './arguments.ts';
import {ServiceLog} from './service-log.ts';
import {transferStarter} from './start-transfer.ts';

export interface ImportdOptions {
  environment: Environment;
  scope: Scope;
  /** Aborted by the signals that end the service. */
  signal: AbortSignal;
}

const idleMs = 30_000;
/** How long canceled transfers may take to clear up; then they end with this process. */
const shutdownMs = 5000;
/** How often a bus that is not there yet is looked for. */
const busRetryMs = 200;
/** Calls hold names and addresses, answers to ours less. */
const maxMessageBytes = 256 * 1024;
const errorLevel = 3;
const warningLevel = 4;
/** Beside imgctl's own directory of the same root. */
const varlinkSocket = '../systemd/io.systemd.Import';

/** Serves until it is idle, asked to end, or loses the bus; resolves with the exit status. */
export async function runImportd(options: ImportdOptions): Promise<number> {
  const {env, stderr} = options.environment;
  const log = new ServiceLog({env, stderr, identifier: programName});
  try {
    const lost = await new ImportService(options, log).run();
    if (lost) throw lost;
    return 0;
  } catch (error) {
    log.write(errorLevel, error instanceof Error ? error.message : String(error));
    return 1;
  }
}

/**
 * One run of the service. On a Varlink socket that the service manager opened it answers at once, and on the bus when
 * there is one: units of the boot ask for images before that. Otherwise the name on the bus comes first, so that a
 * second service does not take the socket of the first.
 */
class ImportService {
  readonly #environment: Environment;
  readonly #scope: Scope;
  readonly #signal: AbortSignal;
  readonly #log: ServiceLog;
  readonly #context: CommandContext;
  readonly #idle: IdleWatch;
  /** Resolves when nothing went on for a while, or a signal came. */
  readonly #ended: Promise<void>;
  readonly #transfers: TransferTable;
  readonly #authority: Authority;
  #bus: BusConnection | undefined;
  #varlink: VarlinkServer | undefined;

  constructor({environment, scope, signal}: ImportdOptions, log: ServiceLog) {
    this.#environment = environment;
    this.#scope = scope;
    this.#signal = signal;
    this.#log = log;
    const {env, uid} = environment;
    const {promise: idled, resolve: onIdle} = Promise.withResolvers<void>();
    this.#idle = new IdleWatch(env.SYSTEMD_EXIT_ON_IDLE === '0' ? 0 : idleMs, onIdle);
    this.#ended = Promise.race([idled, aborted(signal)]);
    this.#context = contextOf(environment, scope, signal);
    this.#transfers = new TransferTable(
      transferStarter({
        ...{env, flags: this.#context.placeFlags()},
        // The service of a user keeps all classes in one place (design.md §4).
        directory: scope === 'user' ? this.#context.paths.imageDirectory('machine') : undefined,
      }),
    );
    this.#authority = new Authority(busAuthoritySources(() => this.#bus, uid));
    watchTransfers(this.#transfers, {idle: this.#idle, log});
  }

  /** Resolves with the reason when the bus was lost. */
  async run(): Promise<ImgctlError | undefined> {
    const {env} = this.#environment;
    const isPassed = hasPassedSocket(env, process.pid);
    try {
      if (isPassed) await this.#serveVarlink(isPassed);
      await this.#openBus().catch((error) => {
        if (!isPassed || this.#bus) throw error;
      });
      if (!isPassed) await this.#serveVarlink(isPassed);
      notifySupervisor(env.NOTIFY_SOCKET, 'READY=1\nSTATUS=Processing requests...');
      if (!this.#bus) await this.#awaitBus();
      const lost = await Promise.race([this.#ended, this.#bus?.closed]);
      await this.#shutDown(lost ?? undefined);
      return lost ?? undefined;
    } finally {
      this.#varlink?.close();
      void this.#idle.stop();
      await this.#bus?.close();
      await this.#context.close();
    }
  }

  /** Connects and takes the name. */
  async #openBus(): Promise<void> {
    const address = busAddress(this.#scope, this.#environment.env);
    const bus = await BusConnection.open(address, {variants: 'wrap', maxMessageBytes});
    this.#bus = bus;
    const service = new TransferService({
      ...{bus, transfers: this.#transfers, idle: this.#idle, authority: this.#authority},
      logSettings: this.#log,
      machineId: () => readFileSync('/etc/machine-id', 'utf8').trim(),
      listImages: (imageClass) => this.#listImages(imageClass),
    });
    if (!(await service.start())) throw new ImgctlError('BusUnavailable', `The name ${busName} is taken`);
  }

  /** Returns when the bus is served, or the service is to end. */
  async #awaitBus(): Promise<void> {
    let isOver = false;
    while (!isOver) {
      const failure = await this.#openBus().catch((error) => error);
      if (!failure) return;
      if (this.#bus) throw failure;
      isOver = await Promise.race([
        this.#ended.then(() => true),
        setTimeout(busRetryMs, false, {ref: false}),
      ]);
    }
  }

  /** Transfers are canceled when the bus is lost or a signal came; what a caller just began goes on otherwise. */
  async #shutDown(lost: ImgctlError | undefined): Promise<void> {
    notifySupervisor(this.#environment.env.NOTIFY_SOCKET, 'STOPPING=1\nSTATUS=Shutting down...');
    this.#varlink?.close();
    if (lost || this.#signal.aborted) {
      // Signals of their end are only told to those who know us by our name.
      this.#transfers.cancelAll();
      await Promise.race([this.#idle.stop(), setTimeout(shutdownMs, undefined, {ref: false})]);
    }
    if (lost) return;
    await this.#bus?.releaseName(busName);
    // A call may have come between the last one and the release; it is answered, and what it began goes on to its end.
    if (!this.#signal.aborted) await Promise.race([this.#idle.stop(), aborted(this.#signal)]);
  }

  /** The service on the bus does without it where the socket cannot be had. */
  async #serveVarlink(isPassed: boolean): Promise<void> {
    const {env} = this.#environment;
    const {paths} = this.#context;
    const socket = path.join(paths.runtimeDirectory, varlinkSocket);
    const service = new ImportVarlink({
      ...{transfers: this.#transfers, authority: this.#authority, logSettings: this.#log, environment: env},
      imageRoots: imageClasses.flatMap((one) => [
        paths.imageDirectory(one),
        paths.runtimeImageDirectory(one),
      ]),
      version: packageVersion(),
    });
    const server = new VarlinkServer({
      ...{idle: this.#idle, handler: (call) => service.answer(call)},
      mode: this.#scope === 'user' ? 0o600 : 0o666,
    });
    try {
      await server.listen(socket, isPassed);
      this.#varlink = server;
    } catch (error) {
      const reason = (error as Error).message;
      this.#log.write(warningLevel, `Ignoring that "${socket}" cannot be served: ${reason}`);
    }
  }

  /** A named class that cannot be read is the caller's error; of all classes, one that cannot is left out. */
  async #listImages(named: ImageClass | undefined): Promise<StoredImage[]> {
    const engine = await this.#context.engine();
    if (this.#scope === 'user') return this.#listOfUser(engine, named);
    const lists = (named ? [named] : imageClasses).map(async (imageClass) => {
      const store = {imageClass, directory: this.#context.paths.imageDirectory(imageClass)};
      const list = engine.listImages(store, {withHidden: true});
      return named ? list : list.catch(() => []);
    });
    return (await Promise.all(lists)).flat();
  }

  /** All images of a user count as machines, and the running system is none of them, as systemd-importd has it. */
  async #listOfUser(engine: Engine, named: ImageClass | undefined): Promise<StoredImage[]> {
    if (named !== undefined && named !== 'machine') return [];
    const store = {imageClass: 'machine', directory: this.#context.paths.imageDirectory('machine')} as const;
    const list = await engine.listImages(store, {withHidden: true});
    return list.filter(({name}) => name !== '.host');
  }
}

function contextOf(environment: Environment, scope: Scope, signal: AbortSignal): CommandContext {
  const output = new Output(environment, {subject: programName, quiet: true, json: true});
  const {log} = new RunLog(environment, 'imgctl');
  return new CommandContext({
    program: 'imgctl',
    environment,
    flags: {quiet: true, scope},
    output,
    signal,
    log,
  });
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), {once: true});
  });
}
