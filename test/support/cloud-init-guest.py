"""cloud-init's data source of SmartOS, unchanged, on a terminal or a socket: prints what it takes from there as JSON.

cloud-init-guest.py MODULES serial|socket DEVICE DIRECTORY
"""
import json
import sys

modules, kind, device, directory = sys.argv[1:]
sys.path.insert(0, modules)

from cloudinit import helpers  # noqa: E402
from cloudinit.sources import DataSourceSmartOS as smartos  # noqa: E402

machine = smartos.SMARTOS_ENV_KVM if kind == "serial" else smartos.SMARTOS_ENV_LX_BRAND
# Neither is this machine a guest of SmartOS, nor may its own files be written.
smartos.get_smartos_environ = lambda *_: machine
smartos.LEGACY_USER_D = directory + "/legacy"

place = "serial_device" if kind == "serial" else "metadata_sockfile"
config = {"datasource": {"SmartOS": {place: device, "serial_timeout": 20}}}
paths = helpers.Paths({"cloud_dir": directory + "/cloud", "run_dir": directory + "/run"})
source = smartos.DataSourceSmartOS(config, None, paths)
found = source._get_data()

client = source.md_client
client.open_transport()
client.put("prepare-image:state", "running")
kept = [client.get("prepare-image:state"), sorted(client.list())]
client.delete("prepare-image:state")
kept.append(client.get("prepare-image:state"))
client.close_transport()

print(json.dumps({"found": found, "metadata": source.metadata, "userdata": source.userdata_raw, "kept": kept}))
