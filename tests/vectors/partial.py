"""Section 6 of docs/protocol.md: exchanges of a partial holder with a full node, checked frame by frame against what each of
them holds at that moment."""

from access import READ
from keys import may_read, shown
from postcard import b32, need, unb32, varint
from sessions import NOTHING, VERSION, Side, agrees, entries_in, history_of, in_turns, known, message_of, sent_entries

PARTIAL, MIN_FRAME, MAX_BASE, MAX_MISSING, MAX_TIPS, MAX_PARENTS = 2, 2_048, 4, 256, 31, 32


class Device:
    """What a partial holder holds: ids of its base, and of its ring in the order in which they came."""

    def __init__(self, history, raw, vector):
        self.history, self.raw = history, raw
        self.allowed, self.room = vector["allowed"], vector["room"]
        self.base, self.ring = list(vector["before"]["base"]), []
        for one in vector["before"]["ring"]:
            self.take(one)

    def named(self):
        return self.base + self.ring

    def places(self):
        return {self.history.at[one] for one in self.named()}

    def below(self):
        """All that it holds and all that its base stands for."""
        places = self.places()
        return places.union(*(self.history.below[place] for place in places))

    def parents(self, one):
        return self.history.entries[self.history.at[one]]["parents"]

    def tips(self):
        built_upon = {parent for one in self.ring for parent in self.parents(one)}
        return [one for one in self.named() if one not in built_upon]

    def used(self):
        return sum(len(self.raw[one]) for one in self.ring)

    def take(self, one):
        """An entry joins the ring."""
        need(one not in self.named() and set(self.parents(one)) <= set(self.named()), "Ring")
        need(len(self.raw[one]) <= self.room["entry"], "Room")
        self.ring.append(one)
        need(len(self.ring) <= self.room["entries"] and self.used() <= self.room["bytes"], "Room")
        need(len(self.tips()) <= MAX_TIPS, "Tips")

    def advance(self, one):
        entry = self.history.entries[self.history.at[one]]
        need(entry["author"] in self.allowed, "NotAllowed")
        need(set(self.tips()) <= set(entry["parents"]), "NotOnTop")
        self.base, self.ring = [one], []


def check_have(device, have, ids, tree):
    """A request names what the device holds, and no more room than it has."""
    need(have["tree"] == tree, "Tree")
    need(agrees(have["versions"]), "Version")
    need(have["capabilities"] & PARTIAL and have["limits"]["frame"] >= MIN_FRAME, "Limits")
    places = [device.history.entries[device.history.at[one]] for one in device.base]
    need(have["base"] == [{"height": entry["height"], "id": entry["id"]} for entry in places], "Base")
    need(len(have["base"]) <= MAX_BASE, "Base")
    need(ids == device.ring, "Ring")
    need(have["entry"] <= device.room["entry"], "Room")
    need(len(ids) + have["entries"] <= device.room["entries"], "Room")
    need(device.used() + have["bytes"] <= device.room["bytes"], "Room")


def fits(device, have, alone, node):
    """Whether what the device lacks can be sent as it is."""
    sizes = [len(node.raw[one]) for one in alone]
    frames = [1 + len(varint(size)) + size for size in sizes]
    known = set(device.named()).union(alone)
    return (not have["relieve"] and len(alone) <= have["entries"] and sum(sizes) <= have["bytes"] and
            all(size <= have["entry"] for size in sizes) and all(size <= have["limits"]["frame"] for size in frames) and
            all(known.issuperset(device.parents(one)) for one in alone) and len(tips_of(node)) <= MAX_TIPS)


def tips_of(node):
    shared = node.history.shared(node.held)
    return [node.history.entries[place]["id"] for place in node.history.tips(shared)]


def may_write(node, keys):
    """Whether one of these keys may, or everybody."""
    held = [node.history.permission(node.held, key) for key in [None, *keys]]
    return any(given is not None and given > READ for given in held)


def signed_over(node, key, tips):
    """The highest entry by this key that has all of these as parents, if there is one."""
    for _, one in reversed(node.positions()):
        entry = node.history.entries[node.history.at[b32(one)]]
        if entry["author"] == key and set(tips) <= set(entry["parents"]):
            return entry["id"]
    return None


def answer_of(device, have, gone, node, key, keys):
    """What has to be answered to a device with these keys: its kind, and what goes with it."""
    lacking = [one for one in device.named() if node.history.at[one] not in node.held]
    if lacking:
        return "missing", [one for one in lacking[:MAX_MISSING] if one not in gone]
    below = device.below()
    alone = [b32(one) for _, one in node.positions() if node.history.at[b32(one)] not in below]
    if not alone and not have["relieve"]:
        return "same", None
    if alone and fits(device, have, alone, node):
        return "entries", alone
    if not device.places() <= node.history.shared(node.held):
        return "refusal", "NoAdvance"
    tips = tips_of(node)
    only = node.history.entries[node.history.at[tips[0]]]
    if len(tips) == 1 and only["author"] == key and set(device.tips()) <= set(only["parents"]):
        return "advance", only["id"]
    if not may_write(node, [key]) or not may_write(node, keys):
        one = signed_over(node, key, device.tips())
        return ("refusal", "NoAdvance") if one is None else ("advance", one)
    return "merge", sorted(set(tips).union(device.tips()), key=unb32)


def check_merge(node, one, parents, key):
    """An entry that the node has written for this advance, over these; merges of its own come first where they are too many
    for one."""
    written, over = [one], set()
    for each in written:
        entry = node.history.entries[node.history.at[each]]
        need(node.history.at[each] not in node.held and entry["author"] == key and not entry["stores"], "Merge")
        held = {parent for parent in entry["parents"] if node.history.at[parent] in node.held}
        over |= held
        written += sorted(set(entry["parents"]) - held)
    need(sorted(over, key=unb32) == parents and (len(written) == 1) == (len(parents) <= MAX_PARENTS), "Merge")
    node.store(written)


def check_limits(frames, limits):
    sizes = [len(frame) // 2 for frame in frames]
    need(max(sizes) <= limits["frame"] and sum(sizes) <= limits["message"], "Limits")


def check_request(message, device, tree, owed):
    """A request, and what it brings of what the node was missing: what is in the ring, and what is gone. Gives both."""
    values = dict(message)
    check_have(device, values["have"]["head"], values["have"]["ids"], tree)
    need(values["end"] == NOTHING, "Nothing")
    gone, pushed = values.get("gone", []), entries_in(message, device.raw)
    need(set(gone) == {one for one in owed if one not in device.ring}, "Gone")
    need(pushed == [one for one in device.ring if one in owed], "Entries")
    return gone, pushed


def check_answer(message, device, node, key, expected):
    """A response says what it has to say, and the device takes it. Gives what is missing."""
    values, (kind, what) = dict(message), expected
    if message[-1][0] == "refusal":
        need(expected == message[-1], "Answer")
        return []
    reply = values["reply"]["head"]
    need(reply["version"] == VERSION and reply["capabilities"] & PARTIAL and not values["reply"]["ranges"], "Reply")
    need(reply["count"] == 0 and values["end"] == NOTHING, "Nothing")
    need(reply["same"] == (kind == "same"), "Answer")
    if "advance" in values:
        one = known(values["advance"], device.raw)
        device.advance(one)
        if kind == "merge":
            check_merge(node, one, what, key)
        else:
            need((kind, what) == ("advance", one), "Answer")
    else:
        need(kind in ("missing", "same", "entries"), "Answer")
    need(sent_entries(message, node)[0] == (what if kind == "entries" else []), "Answer")
    for one in entries_in(message, device.raw):
        device.take(one)
    missing = values.get("missing", [])
    need(missing == (what if kind == "missing" else []), "Missing")
    return missing


def check_partial(vector):
    history, raw = history_of(vector["entries"])
    keys = {"initiator": vector["device"]["key"], "responder": vector["node"]["key"]}
    device, node = Device(history, raw, vector["device"]), Side(history, raw, vector["node"]["before"])
    tree, key, have = vector["tree"], vector["node"]["key"], None
    need(tree == history.entries[0]["id"], "Tree")
    owed, gone, is_over = [], [], False
    for part in in_turns(vector["messages"]):
        proofs, message = message_of(part["frames"], have and "have")
        if part["from"] == "initiator":
            need(message[0][0] == "have" and not is_over, "Grammar")
            gone, pushed = check_request(message, device, tree, owed)
            have = message[0][1]["head"]
            further = shown(proofs, part, keys, tree)
            continue
        check_limits(part["frames"], have["limits"])
        if further is None or not may_read(history, node.held, keys["initiator"], further):
            expected = "refusal", "Unknown"
        else:
            node.store(pushed)
            expected = answer_of(device, have, gone, node, key, [keys["initiator"], *further])
        owed = check_answer(message, device, node, key, expected)
        # Nothing is left to say, or the node lacks what is gone.
        is_over, have = not owed or gone, None
    need(is_over and have is None, "End")
    need(key in device.allowed, "NotAllowed")
    need({"base": device.base, "ring": device.ring} == vector["device"]["after"], "After")
    need(sorted(vector["node"]["after"]) == sorted(b32(one) for one in node.ids()), "After")
    refusal = message[-1][1] if message[-1][0] == "refusal" else None
    need(refusal == vector["refused"], "Refused")
