"""Sections 3 to 5 of docs/protocol.md: whole exchanges between two sets, checked frame by frame against what each side holds
at that moment."""

from access import History
from crypto import blake3, derive
from entries import whole_entry
from postcard import BASE64, END_HEIGHT, Fault, b32, need, read_frame, unb32

END = (END_HEIGHT, bytes(32))
REQUESTS, RESPONSES = ("sync", "have", "trees", "ask"), ("reply", "tree_list", "asked", "refusal")


def total(ids):
    return (sum(int.from_bytes(one, "little") for one in ids) % 2**256).to_bytes(32, "little")


def counted(ids):
    return len(ids).to_bytes(8, "little") + total(ids)


class Side:
    """What one side holds: places in a history."""

    def __init__(self, history, raw, ids):
        self.history, self.raw, self.held = history, raw, {history.at[one] for one in ids}

    def copy(self):
        return Side(self.history, self.raw, [self.history.entries[place]["id"] for place in self.held])

    def is_said_in(self, hello):
        return hello["tips"] == self.tips() and hello["count"] == len(self.ids())

    def position(self, place):
        entry = self.history.entries[place]
        return entry["height"], unb32(entry["id"])

    def positions(self, start=(0, bytes(32)), end=END):
        shared = self.history.shared(self.held)
        return sorted(one for one in map(self.position, shared) if start <= one < end)

    def ids(self, start=(0, bytes(32)), end=END):
        return [one for _, one in self.positions(start, end)]

    def tips(self):
        tips = sorted(map(self.position, self.history.tips(self.history.shared(self.held))))
        if len(tips) <= 2:
            return {"Named": [b32(one) for _, one in tips]}
        digest = derive("pleach 2026 range v1 fingerprint", counted([one for _, one in tips]))
        return {"Digest": list(digest[:16])}

    def store(self, ids):
        """Stores what can be stored: parents first, and only what is valid. The rest is left out."""
        left = [self.history.at[one] for one in ids]
        for place in sorted(left, key=self.position):
            if set(self.history.parents[place]) <= self.held and self.history.is_valid(place):
                self.held.add(place)


def message_of(frames):
    """The names and values of the frames of a message, which stand in the order of section 3."""
    read = [read_frame(bytes.fromhex(frame)) for frame in frames]
    names = [name for name, _ in read]
    need(names and names[0] in REQUESTS + RESPONSES, "Grammar")
    if names[-1] == "refusal":
        need(all(name in ("reply", "entries") for name in names[:-1]), "Grammar")
        return read
    allowed = {
        "sync": ["sync", "wants", "entries", "end"], "reply": ["reply", "advance", "entries", "missing", "end"],
        "have": ["have", "gone", "entries", "end"],
    }.get(names[0], [names[0]])
    places = [allowed.index(name) if name in allowed else -1 for name in names]
    need(min(places) >= 0 and places == sorted(places), "Grammar")
    need(all(names.count(name) < 2 for name in set(names) if name != "entries"), "Grammar")
    need(len(allowed) == 1 or names[-1] == "end", "Grammar")
    return read


def short(salt, one):
    return blake3(b"pleach list v1" + salt + one)[:8]


def check_ranges(ranges, start, salt, mine, other, is_response):
    """What a side says of ranges is true of what it holds. `other`: the peer's set as it was when it spoke last."""
    low = start
    ended = False
    for item in ranges:
        need(not ended, "Bounds")
        rise, prefix = item["bound"]["rise"], bytes.fromhex(item["bound"]["id"])
        high = END if rise == 0 and not prefix else (low[0] + rise, prefix.ljust(32, b"\0"))
        ended = high == END
        need(low < high <= END and not prefix.endswith(b"\0"), "Bounds")
        mode, ids = item["mode"], mine.ids(low, high)
        name, inner = (mode, None) if type(mode) is str else next(iter(mode.items()))
        need(inner != [], "Bounds")
        if name == "Empty":
            need(not ids, "Range")
        elif name == "Fingerprint":
            hashed = blake3(b"pleach range v1" + salt + counted(ids))
            need(inner == {"fingerprint": list(hashed[:16]), "count": len(ids)}, "Range")
        elif name == "List":
            need(inner == [short(salt, one).hex() for one in ids], "Range")
        elif name == "Ids":
            need(inner == [b32(one) for one in ids], "Range")
        elif name == "Answer":
            listed = other.ids(low, high)
            forms = [short(salt, one) for one in listed]
            need(inner["check"] == int.from_bytes(blake3(b"".join(forms))[:4], "little"), "Range")
            lacking = sum(1 << at for at, one in enumerate(listed) if one not in ids)
            need(inner["wanted"] == lacking, "Range")
        elif name == "Sending":
            need(is_response, "Bounds")
        low = high
    return low


def position_of(start):
    return start["height"], bytes.fromhex(start["id"]).ljust(32, b"\0")


def sent_entries(message, sender):
    """The ids of the entries of a message: the sender holds them, and they ascend."""
    ids, sent = [], []
    for name, value in message:
        for each in value if name == "entries" else []:
            raw = BASE64[1](each)
            number = b32(blake3(raw))
            need(sender.raw.get(number) == raw and sender.history.at[number] in sender.held, "Entries")
            ids.append(number)
            sent.append(sender.position(sender.history.at[number]))
    return ids, sent


def check_session(vector):
    entries = [whole_entry(bytes.fromhex(raw)) for raw in vector["entries"]]
    raw = {entry["id"]: bytes.fromhex(data) for entry, data in zip(entries, vector["entries"])}
    history = History(entries)
    tree = entries[0]["id"]
    for place, entry in enumerate(entries):
        need(entry["tree"] == tree and history.is_valid(place), "Entries")
        heights = [entries[parent]["height"] for parent in history.parents[place]]
        need(entry["height"] == 1 + max(heights, default=-1), "WrongHeight")
    sides = {name: Side(history, raw, vector[name]["before"]) for name in ("initiator", "responder")}
    initiator, responder = sides["initiator"], sides["responder"]
    need([part["from"] for part in vector["messages"]] ==
         [("initiator", "responder")[n % 2] for n in range(len(vector["messages"]))], "Turns")
    hello = spoken = None
    refused = False
    for part in vector["messages"]:
        message = message_of(part["frames"])
        head, last = message[0], message[-1]
        values = dict(message)
        if part["from"] == "initiator":
            need(head[0] == "sync", "Grammar")
            hello = head[1]["head"]
            need(hello["tree"] == tree, "Tree")
            # An initiator that found entries to push speaks of the set in which it found them.
            spoken = [side for side in (initiator.copy(), spoken) if side and side.is_said_in(hello)]
            need(spoken, "Tips")
            spoken = spoken[0]
            salt, start = bytes.fromhex(hello["salt"]), position_of(hello["start"])
            malformed = False
            try:
                check_ranges(head[1]["ranges"], start, salt, spoken, responder, False)
            except Fault as fault:
                need(fault.name == "Bounds", fault.name)
                malformed = True
            need(malformed == ("Malformed" in (vector["refused"] or "")), "Bounds")
            need(last[1] == {"until": None, "tips": None, "count": 0, "token": None}, "End")
            pushed, places = sent_entries(message, spoken)
            need(places == sorted(places), "Order")
            continue
        if last[0] == "refusal":
            refused = True
            continue
        reply = head[1]["head"]
        need(reply["count"] == len(responder.ids()), "Count")
        same = hello["tips"] == responder.tips() and hello["count"] == reply["count"]
        need(reply["same"] == same, "Same")
        need(not (same and head[1]["ranges"]), "Same")
        check_ranges(head[1]["ranges"], start, salt, responder, spoken, True)
        sent, places = sent_entries(message, responder)
        responder.store(pushed)
        lacking = {parent for one in pushed for parent in entries[history.at[one]]["parents"]}
        lacking = {one for one in lacking if history.at[one] not in responder.held and one not in pushed}
        need(set(values.get("missing", [])) == lacking, "Missing")
        until = last[1]["until"]
        need(until is None or all(place < (until["height"], unb32(until["id"])) for place in places), "Until")
        tips = responder.tips()
        need(last[1]["tips"] == (None if tips == hello["tips"] else tips), "Tips")
        need(last[1]["count"] == len(responder.ids()), "Count")
        initiator.store(sent)
    for name, side in sides.items():
        need(sorted(vector[name]["after"]) == sorted(entries[place]["id"] for place in side.held), "After")
    need(refused or initiator.ids() == responder.ids(), "After")
    if vector["refused"] is not None:
        need(refused and message[-1] == ("refusal", vector["refused"]), "Refused")
    else:
        need(not refused, "Refused")
