#!/usr/bin/env python3
"""What must hold of a root whatever was killed or failed there, read from the files alone and with none of imgctl's code.

check-invariants.py --server DIRECTORY [--settled]
check-invariants.py ROOT [--settled] [--cut] [--image UUID=PATH]... [--pulled NAME]...

Always: records are whole, an image that can be seen has a record and holds what PATH holds, an instance is named by a
record, the cache holds nothing wrong under a digest, and the catalog is a database. With --settled, which is after a run
that ended well and a repair: records have data, rows are those of the records, and nothing temporary is left anywhere. With
--cut the cache may hold anything: it is not synced, because it is hashed again before it is used.
"""
import argparse
import filecmp
import hashlib
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
CLASSES = ["machines", "portables", "extensions", "confexts"]
POOLS = {"machine": "machines", "portable": "portables", "sysext": "extensions", "confext": "confexts"}
faults = []


def names(directory):
    return sorted(os.listdir(directory)) if os.path.isdir(directory) else []


def read_records(root):
    records = {}
    directory = os.path.join(root, "var/lib/imgctl/records")
    for name in names(directory):
        if name.startswith(".") or not name.endswith(".json"):
            continue
        try:
            with open(os.path.join(directory, name), encoding="utf8") as file:
                record = json.load(file)
            if record["manifest"]["uuid"] != name[:-5] or not record["localName"] or not record["pool"]:
                raise ValueError("it is of something else")
            records[name[:-5]] = record
        except (ValueError, KeyError, TypeError) as error:
            faults.append(f"record {name} is not whole: {error}")
    return records


def visible(root, kind):
    """Name without suffix, and path, of what can be seen in a class directory."""
    directory = os.path.join(root, "var/lib", kind)
    return {re.sub(r"\.raw$", "", name): os.path.join(directory, name) for name in names(directory) if name[0] != "."}


def check_storage(root, records, pulled):
    stored = {kind: visible(root, kind) for kind in CLASSES}
    recorded = {(POOLS.get(record["pool"]), record["localName"]) for record in records.values()}
    instances = {instance["name"] for record in records.values() for instance in record.get("instances", [])}
    for kind, found in stored.items():
        for name in found:
            if (kind, name) in recorded or name in pulled or (kind == "machines" and name in instances):
                continue
            faults.append(f"{kind}/{name} can be seen and no record knows it")
    return stored


def same_tree(one, other):
    """Names, kinds, modes, link targets and bytes."""
    left, right = os.lstat(one), os.lstat(other)
    if left.st_mode != right.st_mode:
        return False
    if os.path.islink(one):
        return os.readlink(one) == os.readlink(other)
    if os.path.isdir(one):
        entries = names(one)
        return entries == names(other) and all(
            same_tree(os.path.join(one, entry), os.path.join(other, entry)) for entry in entries
        )
    return left.st_size == right.st_size and filecmp.cmp(one, other, shallow=False)


def check_contents(stored, images):
    for text in images:
        uuid, wanted = text.split("=", 1)
        found = stored["machines"].get(uuid)
        if found is None:
            continue
        if os.path.isdir(wanted):
            # The mode of the top is that of the archive's first entry, which the reference has too.
            if not os.path.isdir(found) or not same_tree(found, wanted):
                faults.append(f"image {uuid} does not hold what its file holds")
        elif not os.path.isfile(found) or not filecmp.cmp(found, wanted, shallow=False):
            faults.append(f"image {uuid} does not hold what its file holds")


def check_cache(root):
    directory = os.path.join(root, "var/cache/imgctl/downloads")
    for name in names(directory):
        match = re.match(r"^sha1-([0-9a-f]{40})-(\d+)$", name)
        if not match:
            continue
        with open(os.path.join(directory, name), "rb") as file:
            data = file.read()
        if len(data) != int(match[2]) or hashlib.sha1(data).hexdigest() != match[1]:
            faults.append(f"the cache holds other bytes under {name}")


def read_rows(root):
    file = os.path.join(root, "var/lib/imgctl/catalog.db")
    if not os.path.exists(file) or os.path.getsize(file) == 0:
        return {}
    # Elsewhere: to read it takes room, of which a full disk has none.
    copies = tempfile.mkdtemp()
    for suffix in ("", "-wal"):
        if os.path.exists(file + suffix):
            shutil.copy(file + suffix, os.path.join(copies, "catalog.db" + suffix))
    try:
        database = sqlite3.connect(os.path.join(copies, "catalog.db"), timeout=5)
        [answer] = database.execute("PRAGMA integrity_check").fetchone()
        if answer != "ok":
            faults.append(f"the catalog is damaged: {answer}")
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "images" not in tables:
            return {}
        return {uuid: json.loads(record) for uuid, record in database.execute("SELECT uuid, record FROM images")}
    except (sqlite3.Error, ValueError) as error:
        faults.append(f"the catalog cannot be read: {error}")
        return {}
    finally:
        shutil.rmtree(copies)


def check_settled(root, records, stored, rows):
    installed = {}
    for uuid, record in records.items():
        if record["localName"] in stored.get(POOLS.get(record["pool"], ""), {}):
            installed[uuid] = record
        else:
            faults.append(f"record {uuid} has no data")
    for uuid in sorted(set(rows) | set(installed)):
        if rows.get(uuid) != installed.get(uuid):
            faults.append(f"row and record of {uuid} differ")
    machines = stored["machines"]
    for uuid, record in installed.items():
        for instance in record.get("instances", []):
            if instance["name"] not in machines:
                faults.append(f"record {uuid} names an instance that is not there: {instance['name']}")


def check_leftovers(root):
    for directory, folders, files in os.walk(root):
        # What is inside of images is theirs.
        inside = os.path.relpath(directory, root).split(os.sep)
        if inside[:2] == ["var", "lib"] and len(inside) == 3 and inside[2] in CLASSES:
            folders[:] = [name for name in folders if name.startswith(".#")]
        for name in folders + files:
            if name.startswith(".#") or name.endswith(".part"):
                faults.append(f"left over: {os.path.join(directory, name)}")
        folders[:] = [name for name in folders if not name.startswith(".#")]
    for name in names(os.path.join(root, "run/imgctl/transfers")):
        if re.match(r"^\d+\.(json|cancel)$", name):
            faults.append(f"left over: transfer {name}")


def check_server(directory, settled):
    """An image server's images: manifests are whole, and what is offered is there and is what its manifest says."""
    images = os.path.join(directory, "images")
    for name in names(images):
        if not UUID.match(name):
            if settled:
                faults.append(f"left over: {name}")
            continue
        try:
            with open(os.path.join(images, name, "manifest.json"), encoding="utf8") as text:
                manifest = json.load(text)
            if manifest["uuid"] != name:
                raise ValueError("it is of something else")
        except (OSError, ValueError, KeyError, TypeError) as error:
            faults.append(f"manifest of {name} is not whole: {error}")
            continue
        if manifest.get("state") != "active":
            continue
        try:
            with open(os.path.join(images, name, "file"), "rb") as file:
                data = file.read()
        except OSError as error:
            faults.append(f"{name} is offered and has no file: {error}")
            continue
        [wanted] = manifest["files"]
        if len(data) != wanted["size"] or hashlib.sha1(data).hexdigest() != wanted["sha1"]:
            faults.append(f"{name} is offered and its file is another one")


def check_root(options):
    records = read_records(options.root)
    stored = check_storage(options.root, records, options.pulled)
    check_contents(stored, options.image)
    if not options.cut:
        check_cache(options.root)
    rows = read_rows(options.root)
    if options.settled:
        check_settled(options.root, records, stored, rows)
        check_leftovers(options.root)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?")
    parser.add_argument("--server")
    parser.add_argument("--settled", action="store_true")
    parser.add_argument("--cut", action="store_true")
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--pulled", action="append", default=[])
    options = parser.parse_args()
    if options.server:
        check_server(options.server, options.settled)
    if options.root:
        check_root(options)
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


main()
