"""Section 2 of docs/protocol.md: one entry, its rules, and what it says."""

import struct

from crypto import blake3, derive, verify
from postcard import ID, KEY, PERMISSION, SIGNATURE, U8, U32, U64, Bytes, Fault, b32, need, unb32, varint

MAX_ENTRY, END = 262_144, 2**48


def has_control(text):
    return any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text)


def take_text(data):
    try:
        return take_blob(data).decode()
    except UnicodeDecodeError:
        raise Fault("Encoding") from None


def take_blob(data):
    return data.take(U32.read(data))


def text(value):
    return varint(len(value.encode())) + value.encode()


def blob(value):
    return varint(len(value)) + value


# ---- values

def read_value(data, depth=0):
    """A value as these files write it: see README.md."""
    need(depth <= 8, "Value")
    tag = data.take(1)[0]
    if tag < 3:
        return (None, False, True)[tag]
    if tag == 3:
        number = U64.read(data)
        return {"integer": number >> 1 ^ -(number & 1)}
    if tag == 4:
        number, = struct.unpack("<d", data.take(8))
        need(number - number == 0, "Value")
        return {"float": struct.pack("<d", number).hex()}
    if tag == 5:
        return take_blob(data).decode()
    if tag == 6:
        return {"bytes": take_blob(data).hex()}
    if tag == 7:
        return [read_value(data, depth + 1) for _ in range(U32.read(data))]
    need(tag == 8, "Value")
    pairs = [[take_text(data), read_value(data, depth + 1)] for _ in range(U32.read(data))]
    need(ascending([key.encode() for key, _ in pairs]), "Value")
    return {"map": pairs}


def write_value(value):
    if value is None or type(value) is bool:
        return bytes([{None: 0, False: 1, True: 2}[value]])
    if type(value) is str:
        return b"\5" + text(value)
    if type(value) is list:
        return b"\7" + varint(len(value)) + b"".join(map(write_value, value))
    (kind, inner), = value.items()
    if kind == "integer":
        return b"\3" + varint(inner << 1 if inner >= 0 else (-inner << 1) - 1)
    if kind == "float":
        return b"\4" + bytes.fromhex(inner)
    if kind == "bytes":
        return b"\6" + blob(bytes.fromhex(inner))
    return b"\x08" + varint(len(inner)) + b"".join(text(key) + write_value(one) for key, one in inner)


def whole_value(raw):
    data = Bytes(raw)
    try:
        value = read_value(data)
        need(data.done() and write_value(value) == raw)
    except (Fault, UnicodeDecodeError):
        raise Fault("Value") from None
    return value


# ---- what is written into stores

def ascending(keys):
    return all(low < high for low, high in zip(keys, keys[1:]))


def check_path(path):
    need(1 <= len(path.encode()) <= 1_024 and "\0" not in path, "Path")
    length, at = 0, 0
    while at < len(path):
        if path[at] == ".":
            need(length, "Path")
            length, at = 0, at + 1
            continue
        if path[at] == "\\":
            need(path[at + 1:at + 2] in (".", "\\"), "Path")
            at += 1
        length, at = length + 1, at + 1
    need(length, "Path")


def take_writes(data):
    writes = []
    for _ in range(U32.read(data)):
        path, some = take_text(data), U8.read(data)
        need(some < 2, "Encoding")
        writes.append([path, take_blob(data) if some else None])
    for write in writes:
        check_path(write[0])
        if write[1] is None:
            del write[1:]
        else:
            write[1] = whole_value(write[1])
    need(ascending([write[0].encode() for write in writes]), "RecordOrder")
    return writes


def put_writes(writes):
    each = (text(path) + (b"\1" + blob(write_value(value[0])) if value else b"\0") for path, *value in writes)
    return varint(len(writes)) + b"".join(each)


def take_who(data):
    some = U8.read(data)
    need(some < 2, "Encoding")
    return b32(data.take(KEY)) if some else "*"


def put_who(who):
    return b"\0" if who == "*" else b"\1" + unb32(who)


def read_store(name, raw):
    data = Bytes(raw)
    kind = data.take(1)[0]
    need(kind < 3, "Encoding")
    need((kind == 2) == (name == "_settings"), "SettingsPlace")
    if kind == 0:
        said = {"map": take_writes(data)}
    elif kind == 1:
        said = {"log": [take_blob(data).hex() for _ in range(U32.read(data))]}
    else:
        writes, grants = take_writes(data), []
        for _ in range(U32.read(data)):
            grant = {"who": take_who(data), "permission": PERMISSION.read(data)}
            some = U8.read(data)
            need(some < 2, "Encoding")
            grants.append({**grant, "name": take_text(data) if some else None})
        revocations = [take_who(data) for _ in range(U32.read(data))]
        need(len(grants) + len(revocations) <= 1_000, "TooManyRecords")
        need(ascending([put_who(grant["who"]) for grant in grants]), "RecordOrder")
        need(ascending([put_who(who) for who in revocations]), "RecordOrder")
        for grant in grants:
            need(not (grant["who"] == "*" and "Admin" in grant["permission"]), "AdminForAll")
            called = grant["name"] or ""
            need(len(called.encode()) <= 64 and not has_control(called), "GrantName")
        said = {"settings": {"writes": writes, "grants": grants, "revocations": revocations}}
    need(data.done(), "Encoding")
    return said


def write_store(said):
    (kind, inner), = said.items()
    if kind == "map":
        return b"\0" + put_writes(inner)
    if kind == "log":
        return b"\1" + varint(len(inner)) + b"".join(blob(bytes.fromhex(one)) for one in inner)
    grants = (put_who(grant["who"]) + PERMISSION.write(grant["permission"]) +
              (b"\0" if grant["name"] is None else b"\1" + text(grant["name"])) for grant in inner["grants"])
    return (b"\2" + put_writes(inner["writes"]) + varint(len(inner["grants"])) + b"".join(grants) +
            varint(len(inner["revocations"])) + b"".join(map(put_who, inner["revocations"])))


# ---- entries

def encode(entry):
    origin = b"\0" + bytes.fromhex(entry["nonce"]) if "nonce" in entry else b"\1" + unb32(entry["tree"])
    stores = b"".join(text(store["name"]) + blob(write_store(store["data"])) for store in entry["stores"])
    return (bytes([entry["version"]]) + origin + varint(entry["height"]) + varint(entry["time"]) +
            varint(len(entry["parents"])) + b"".join(map(unb32, entry["parents"])) + unb32(entry["author"]) +
            varint(len(entry["stores"])) + stores + bytes.fromhex(entry["signature"]))


def _read(raw):
    data = Bytes(raw)
    entry = {"version": data.take(1)[0]}
    need(entry["version"] == 1, "Version")
    origin = U8.read(data)
    need(origin < 2, "Encoding")
    if origin == 0:
        entry["nonce"] = data.take(16).hex()
    else:
        entry["tree"] = b32(data.take(ID))
    entry["height"], entry["time"] = U64.read(data), U64.read(data)
    entry["parents"] = [b32(data.take(ID)) for _ in range(U32.read(data))]
    entry["author"] = b32(data.take(KEY))
    stores = [(take_text(data), take_blob(data)) for _ in range(U32.read(data))]
    entry["signature"] = data.take(SIGNATURE).hex()
    need(data.done(), "Encoding")
    return entry, stores


def read_entry(raw):
    """What an entry says, with all rules checked that it can be checked for alone but its signature."""
    need(len(raw) <= MAX_ENTRY, "TooLarge")
    try:
        entry, stores = _read(raw)
        parents = [unb32(parent) for parent in entry["parents"]]
        need(entry["height"] < END, "Height")
        need(entry["time"] < END, "Time")
        need(len(parents) <= 32, "TooManyParents")
        need(ascending(parents), "ParentOrder")
        if "nonce" in entry:
            need(not parents and entry["height"] == 0, "RootWithPast")
        else:
            need(parents and entry["height"] > 0, "NoParents")
        need(len(stores) <= 32, "TooManyStores")
        for name, _ in stores:
            need(1 <= len(name.encode()) <= 64 and not has_control(name), "StoreName")
        need(ascending([name.encode() for name, _ in stores]), "StoreOrder")
        need("tree" in entry or any(name == "_settings" for name, _ in stores), "RootWithoutSettings")
        entry["stores"] = [{"name": name, "data": read_store(name, data)} for name, data in stores]
        need(encode(entry) == raw)
    except Fault as fault:
        raise Fault("Encoding" if fault.name == "Body" else fault.name) from None
    return entry


def check_signature(entry, raw):
    message = derive("pleach 2026 entry v1 signature", raw[:-SIGNATURE])
    need(verify(unb32(entry["author"]), message, raw[-SIGNATURE:]), "Signature")


def whole_entry(raw):
    """An entry that is one and is signed, with its id and its tree beside what it says."""
    entry = read_entry(raw)
    check_signature(entry, raw)
    number = b32(blake3(raw))
    return {**entry, "id": number, "tree": entry.get("tree", number)}


def grants_and_revocations(entry):
    """What an entry grants and revokes; nothing if it writes no settings."""
    for store in entry["stores"]:
        if "settings" in store["data"]:
            return store["data"]["settings"]
    return None
