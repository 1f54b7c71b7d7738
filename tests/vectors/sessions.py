"""Sections 3 to 5 of docs/protocol.md: whole exchanges between two sets, checked frame by frame against what each side holds
at that moment."""

from access import History
from crypto import blake3, derive
from entries import whole_entry
from keys import may_read, shown
from postcard import BASE64, END_HEIGHT, Fault, b32, need, read_frame, unb32

VERSION, END = 1, (END_HEIGHT, bytes(32))
NOTHING = {"until": None, "tips": None, "count": 0, "token": None}
ASKS_KEYS = 16

# The frames of a message in their order, by its head; of a response by what it answers.
REQUESTS = {
    "sync": ["sync", "wants", "entries", "end"], "have": ["have", "gone", "entries", "end"], "trees": ["trees"],
    "ask": ["ask"],
}
RESPONSES = {
    "sync": ["reply", "entries", "missing", "end"], "have": ["reply", "advance", "entries", "missing", "end"],
    "trees": ["tree_list"], "ask": ["asked"],
}


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


def message_of(frames, asked=None):
    """The proofs in front of a message, none if there are none, and the names and values of its frames, which stand in the
    order of section 3. `asked`: the head of the request that it answers."""
    read = [read_frame(bytes.fromhex(frame)) for frame in frames]
    proofs = read.pop(0)[1] if read[0][0] == "keys" else []
    names = [name for name, _ in read]
    need(names and (asked or names[0] in REQUESTS), "Grammar")
    need(not proofs or names[0] in ("sync", "have", "trees") or (asked == "sync" and names[0] == "reply"), "Grammar")
    if asked and names[-1] == "refusal":
        need(all(name in ("reply", "entries") for name in names[:-1]), "Grammar")
        return proofs, read
    allowed = RESPONSES[asked] if asked else REQUESTS[names[0]]
    places = [allowed.index(name) if name in allowed else -1 for name in names]
    need(min(places) == 0 and places == sorted(places), "Grammar")
    need(all(names.count(name) < 2 for name in set(names) if name != "entries"), "Grammar")
    need(not {"advance", "entries"} <= set(names), "Grammar")
    need(len(allowed) == 1 or names[-1] == "end", "Grammar")
    return proofs, read


def agrees(versions):
    return versions["oldest"] <= VERSION <= versions["newest"]


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


def known(entry, raw):
    """The id of an entry in a frame."""
    data = BASE64[1](entry)
    number = b32(blake3(data))
    need(raw.get(number) == data, "Entries")
    return number


def entries_in(message, raw):
    """The ids of the entries of a message."""
    return [known(each, raw) for name, value in message if name == "entries" for each in value]


def sent_entries(message, sender):
    """The same, and their positions. The sender holds them."""
    ids = entries_in(message, sender.raw)
    places = [sender.history.at[one] for one in ids]
    need(sender.held.issuperset(places), "Entries")
    return ids, [sender.position(place) for place in places]


def history_of(raws):
    """The history that entries are, and their bytes by their ids. Parents come first, and each is valid."""
    entries = [whole_entry(bytes.fromhex(raw)) for raw in raws]
    raw = {entry["id"]: bytes.fromhex(data) for entry, data in zip(entries, raws)}
    history = History(entries)
    for place, entry in enumerate(entries):
        need(entry["tree"] == entries[0]["id"] and history.is_valid(place), "Entries")
        heights = [entries[parent]["height"] for parent in history.parents[place]]
        need(entry["height"] == 1 + max(heights, default=-1), "WrongHeight")
    return history, raw


def is_disordered(vector):
    """The first request is one whose frames stand in no order that there is: it is refused for that, and nothing comes of
    it."""
    request, *answers = in_turns(vector["messages"])
    try:
        message_of(request["frames"])
        return False
    except Fault as fault:
        need(fault.name == "Grammar" and len(answers) == 1, fault.name)
    refused = [read_frame(bytes.fromhex(frame)) for frame in answers[0]["frames"]]
    need("Malformed" in (vector["refused"] or "") and refused == [("refusal", vector["refused"])], "Refused")
    return True


def in_turns(messages):
    need([part["from"] for part in messages] == [("initiator", "responder")[n % 2] for n in range(len(messages))],
         "Turns")
    return messages


def check_request(message, spoken, responder, refused):
    """What a request says of the set of which it speaks; whether it is malformed."""
    hello = message[0][1]["head"]
    need(agrees(hello["versions"]) == ("Incompatible" not in (refused or "")), "Version")
    malformed = False
    try:
        salt, start = bytes.fromhex(hello["salt"]), position_of(hello["start"])
        check_ranges(message[0][1]["ranges"], start, salt, spoken, responder, False)
    except Fault as fault:
        need(fault.name == "Bounds", fault.name)
        malformed = True
    need(malformed == ("Malformed" in (refused or "")), "Bounds")
    need(message[-1][1] == NOTHING, "End")


def check_response(message, hello, pushed, spoken, responder):
    """What a response says, before and after the responder stores what was pushed. What it sends."""
    head, end, values = message[0][1], message[-1][1], dict(message)
    reply, entries, history = head["head"], responder.history.entries, responder.history
    salt, start = bytes.fromhex(hello["salt"]), position_of(hello["start"])
    need(reply["version"] == VERSION and reply["count"] == len(responder.ids()), "Count")
    same = hello["tips"] == responder.tips() and hello["count"] == reply["count"]
    need(reply["same"] == same, "Same")
    need(not (same and head["ranges"]), "Same")
    check_ranges(head["ranges"], start, salt, responder, spoken, True)
    sent, places = sent_entries(message, responder)
    responder.store(pushed)
    lacking = {parent for one in pushed for parent in entries[history.at[one]]["parents"]}
    lacking = {one for one in lacking if history.at[one] not in responder.held and one not in pushed}
    need(set(values.get("missing", [])) == lacking, "Missing")
    until = end["until"]
    need(until is None or all(place < (until["height"], unb32(until["id"])) for place in places), "Until")
    tips = responder.tips()
    need(end["tips"] == (None if tips == hello["tips"] else tips), "Tips")
    need(end["count"] == len(responder.ids()), "Count")
    return sent


def check_session(vector):
    history, raw = history_of(vector["entries"])
    entries, tree, keys = history.entries, history.entries[0]["id"], vector.get("keys")
    sides = {name: Side(history, raw, vector[name]["before"]) for name in ("initiator", "responder")}
    initiator, responder = sides["initiator"], sides["responder"]
    if is_disordered(vector):
        need(all(vector[name]["before"] == vector[name]["after"] for name in sides), "After")
        return
    hello = spoken = None
    refused = False
    # Whether the initiator knows the responder for a reader: whoever holds nothing has nothing to give.
    gives = not keys or not initiator.held or may_read(history, initiator.held, keys["responder"], [])
    for part in in_turns(vector["messages"]):
        proofs, message = message_of(part["frames"], hello and "sync")
        further = shown(proofs, part, keys, tree) if keys else []
        if part["from"] == "initiator":
            need(message[0][0] == "sync", "Grammar")
            hello = message[0][1]["head"]
            need(hello["tree"] == tree, "Tree")
            if keys:
                serves = further is not None and may_read(history, responder.held, keys["initiator"], further)
                need(serves == (vector["refused"] != "Unknown"), "Unknown")
            # An initiator that found entries to push speaks of the set in which it found them.
            spoken = [side for side in (initiator.copy(), spoken) if side and side.is_said_in(hello)]
            need(spoken, "Tips")
            spoken = spoken[0]
            check_request(message, spoken, responder, vector["refused"])
            pushed, places = sent_entries(message, spoken)
            need(places == sorted(places), "Order")
            need(gives or not pushed, "Reader")
            continue
        asks, hello_answered, hello = hello["capabilities"] & ASKS_KEYS, hello, None
        need(not vector["responder"].get("partial") or message == [("refusal", "Partial")], "Partial")
        if message[-1][0] == "refusal":
            refused = True
            continue
        need(not proofs or (asks and further is not None), "Proof")
        gives = gives or may_read(history, initiator.held, keys["responder"], further)
        initiator.store(check_response(message, hello_answered, pushed, spoken, responder))
    for name, side in sides.items():
        need(sorted(vector[name]["after"]) == sorted(entries[place]["id"] for place in side.held), "After")
    if not refused:
        there, here = responder.ids(), initiator.ids()
        need(there == here or (not gives and set(there) <= set(here)), "After")
    need(refused == (vector["refused"] is not None), "Refused")
    need(not refused or message[-1] == ("refusal", vector["refused"]), "Refused")
