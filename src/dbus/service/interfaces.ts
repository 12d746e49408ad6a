/**
 * The interfaces that org.freedesktop.import1 serves, as data: members in the order of systemd's importd 262, which
 * introspection shows (spec/import1-dbus.md §1-§4).
 */

export interface Argument {
  /** One complete D-Bus type. */
  type: string;
  name: string;
}

export interface MethodDescription {
  name: string;
  in: readonly Argument[];
  out: readonly Argument[];
}

export interface PropertyDescription {
  name: string;
  type: string;
  emits: 'const' | 'false';
  /** Set by callers with the rights of the service only. */
  isWritable?: boolean;
}

export interface SignalDescription {
  name: string;
  arguments: readonly Argument[];
}

export interface InterfaceDescription {
  name: string;
  properties: readonly PropertyDescription[];
  methods: readonly MethodDescription[];
  signals: readonly SignalDescription[];
}

export const busName = 'org.freedesktop.import1';
export const managerPath = '/org/freedesktop/import1';
export const transferParentPath = `${managerPath}/transfer`;
export const logControlPath = '/org/freedesktop/LogControl1';

/** `h fd`, `s local_name` and so on. */
function args(...words: string[]): Argument[] {
  return words.map((word) => {
    const [type = '', name = ''] = word.split(' ');
    return {type, name};
  });
}

const started = args('u transfer_id', 'o transfer_path');

function starts(name: string, ...words: string[]): MethodDescription {
  return {name, in: args(...words), out: started};
}

const importWords = ['h fd', 's local_name'];
const legacyImport = [...importWords, 'b force', 'b read_only'];
const extendedImport = [...importWords, 's class', 't flags'];
const legacyExport = ['s local_name', 'h fd', 's format'];
const extendedExport = ['s local_name', 's class', 'h fd', 's format', 't flags'];
const legacyPull = ['s url', 's local_name', 's verify_mode', 'b force'];
const extendedPull = ['s url', 's local_name', 's class', 's verify_mode', 't flags'];

export const managerInterface: InterfaceDescription = {
  name: 'org.freedesktop.import1.Manager',
  properties: [],
  methods: [
    starts('ImportTar', ...legacyImport),
    starts('ImportTarEx', ...extendedImport),
    starts('ImportRaw', ...legacyImport),
    starts('ImportRawEx', ...extendedImport),
    starts('ImportFileSystem', ...legacyImport),
    starts('ImportFileSystemEx', ...extendedImport),
    starts('ExportTar', ...legacyExport),
    starts('ExportTarEx', ...extendedExport),
    starts('ExportRaw', ...legacyExport),
    starts('ExportRawEx', ...extendedExport),
    starts('PullTar', ...legacyPull),
    starts('PullTarEx', ...extendedPull),
    starts('PullRaw', ...legacyPull),
    starts('PullRawEx', ...extendedPull),
    starts('PullOci', 's ref', 's local_name', 's class', 't flags'),
    {name: 'ListTransfers', in: [], out: args('a(usssdo) transfers')},
    {name: 'ListTransfersEx', in: args('s class', 't flags'), out: args('a(ussssdo) transfers')},
    {name: 'CancelTransfer', in: args('u transfer_id'), out: []},
    {name: 'ListImages', in: args('s class', 't flags'), out: args('a(ssssbtttttt) images')},
  ],
  signals: [
    {name: 'TransferNew', arguments: args('u transfer_id', 'o transfer_path')},
    {name: 'TransferRemoved', arguments: args('u transfer_id', 'o transfer_path', 's result')},
  ],
};

export const transferInterface: InterfaceDescription = {
  name: 'org.freedesktop.import1.Transfer',
  properties: [
    {name: 'Id', type: 'u', emits: 'const'},
    {name: 'Local', type: 's', emits: 'const'},
    {name: 'Remote', type: 's', emits: 'const'},
    {name: 'Type', type: 's', emits: 'const'},
    {name: 'Verify', type: 's', emits: 'const'},
    {name: 'Progress', type: 'd', emits: 'false'},
  ],
  methods: [{name: 'Cancel', in: [], out: []}],
  signals: [
    {name: 'LogMessage', arguments: args('u priority', 's line')},
    {name: 'ProgressUpdate', arguments: args('d progress')},
  ],
};

export const logControlInterface: InterfaceDescription = {
  name: 'org.freedesktop.LogControl1',
  properties: [
    {name: 'LogLevel', type: 's', emits: 'false', isWritable: true},
    {name: 'LogTarget', type: 's', emits: 'false', isWritable: true},
    {name: 'SyslogIdentifier', type: 's', emits: 'false'},
  ],
  methods: [],
  signals: [],
};
