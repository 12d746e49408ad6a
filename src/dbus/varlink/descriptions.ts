/**
 * The Varlink interfaces of the transfer service in Varlink's own language: io.systemd.Import and what systemd's
 * services have beside it (systemd 262; without the descriptions that are comments).
 */

const errors = `interface io.systemd

error Disconnected()

error TimedOut()

error Protocol()

error System(
	origin: ?string,
	errnoName: ?string,
	errno: ?int
)
`;

const transfers = `interface io.systemd.Import

type ImageClass(
	machine,
	portable,
	sysext,
	confext
)

type RemoteType(
	raw,
	tar
)

type TransferType(
	import_tar,
	import_raw,
	import_fs,
	export_tar,
	export_raw,
	pull_tar,
	pull_raw
)

type ImageVerify(
	no,
	checksum,
	signature
)

type LogMessage(
	message: string,
	priority: int
)

# [Requires 'more' flag]
method ListTransfers(
	class: ?ImageClass
) -> (
	id: int,
	type: TransferType,
	remote: string,
	local: string,
	class: ImageClass,
	percent: float
)

# [Supports 'more' flag]
method Pull(
	remote: string,
	local: ?string,
	type: RemoteType,
	class: ImageClass,
	verify: ?ImageVerify,
	force: ?bool,
	readOnly: ?bool,
	keepDownload: ?bool,
	imageRoot: ?string,
	allowInteractiveAuthentication: ?bool
) -> (
	progress: ?float,
	log: ?LogMessage,
	id: ?int
)

error AlreadyInProgress(
	remote: string
)

error TransferCancelled()

error TransferFailed()

error NoTransfers()
`;

const service = `interface io.systemd.service

method Ping() -> ()

method Reload(
	allowInteractiveAuthentication: ?bool
) -> ()

method SetLogLevel(
	level: ?int
) -> ()

method GetLogLevel() -> (
	level: int
)

method GetEnvironment() -> (
	environment: ?[]string
)

error InconsistentEnvironment()
`;

const varlink = `interface org.varlink.service

method GetInfo() -> (
	vendor: string,
	product: string,
	version: string,
	url: string,
	interfaces: []string
)

method GetInterfaceDescription(
	interface: string
) -> (
	description: string
)

error InterfaceNotFound(
	interface: string
)

error MethodNotFound(
	method: string
)

error MethodNotImplemented(
	method: string
)

error InvalidParameter(
	parameter: string
)

error PermissionDenied()

error ExpectedMore()
`;

/** By name, in the order in which they are told. */
export const interfaceDescriptions: ReadonlyMap<string, string> = new Map([
  ['io.systemd', errors],
  ['io.systemd.Import', transfers],
  ['io.systemd.service', service],
  ['org.varlink.service', varlink],
]);
