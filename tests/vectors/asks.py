"""Sections 7 and 8 of docs/protocol.md: requests for access, and invites that are redeemed with them."""

from access import STRONGEST, STRONGEST_WRITE, strength
from crypto import derive
from postcard import ASK, BASE64, INVITE, Fault, b32, need, unb32, varint
from sessions import VERSION, Side, agrees, history_of, in_turns, is_disordered, message_of
from tickets import check_proof, check_promise, invite_id

LONGEST = 366 * 24 * 60 * 60 * 1_000


def request_id(asks, metadata, key):
    fields = ASK.fields
    said = (unb32(asks["tree"]) + unb32(key) + fields["permission"].write(asks["permission"]) +
            fields["name"].write(asks["name"]) + varint(len(metadata)) + metadata)
    return b32(derive("pleach 2026 access request v1", said))


class Settings:
    """What the settings of a tree say of invites, and who may do what by them."""

    def __init__(self, side):
        self.history, self.held = side.history, side.held
        written = [self.history.said[place]["writes"] for place in self.history.counting(self.held)
                   if self.history.said[place]]
        self.paths = {write[0] for writes in written for write in writes}

    def strength(self, key):
        given = self.history.permission(self.held, key)
        return -1 if given is None else given

    def is_above(self, key, permission):
        """The root key, or an administrator who ranks above it."""
        given = self.strength(key)
        return given == STRONGEST or (given > STRONGEST_WRITE and given > strength(permission))


def form_of(given):
    """A permission in the form of JSON from its strength."""
    if given == 0:
        return "Read"
    kind, least = ("Admin", STRONGEST_WRITE) if given > STRONGEST_WRITE else ("Write", 0)
    return {kind: STRONGEST_WRITE - (given - least)}


def is_theirs(asks, key):
    """The request brings an invite into its tree that whoever asks has redeemed."""
    invite = asks["invite"]["invite"]
    try:
        check_promise(invite)
        check_proof(invite, key, asks["invite"]["proof"])
    except Fault:
        return False
    return invite["tree"] == asks["tree"]


def redeemed(asks, key, settings, own, now):
    """What an invite is worth: what is approved, and whether it is written. Nothing if it is worth nothing."""
    invite, permission = asks["invite"]["invite"], asks["invite"]["invite"]["permission"]
    here = f"invites.{b32(invite_id(invite))}"
    if not is_theirs(asks, key):
        return None
    if settings.strength(key) >= strength(permission):
        return permission, False
    if f"{here}.used.{key}" in settings.paths:
        return None if settings.strength(key) < 0 else (form_of(settings.strength(key)), False)
    uses = sum(path.startswith(f"{here}.used.") for path in settings.paths)
    good = (settings.is_above(invite["by"], permission) and f"{here}.revoked" not in settings.paths and
            uses < invite["uses"] and 0 < invite["expires"] - now <= LONGEST and settings.is_above(own, permission))
    return (permission, True) if good else None


def check_grant(entry, asks, key, settings, own):
    """The one entry that lets the redeemer in."""
    invite = asks["invite"]["invite"]
    here = f"invites.{b32(invite_id(invite))}"
    writes = [[f"{here}.used.{key}", True]]
    if f"{here}.made" not in settings.paths:
        writes.insert(0, [f"{here}.made", {"bytes": INVITE.write(invite).hex()}])
    grant = {"who": key, "permission": invite["permission"], "name": asks["name"] or None}
    said = {"settings": {"writes": writes, "grants": [grant], "revocations": []}}
    need(entry["author"] == own, "Author")
    need(entry["stores"] == [{"name": "_settings", "data": said}], "Grant")


def check_ask(vector):
    history, raw = history_of(vector["entries"])
    held = Side(history, raw, vector["before"])
    keys, now = vector["keys"], vector["now"]
    own, key = keys["responder"], keys["initiator"]
    news = [one for one in vector["after"] if one not in vector["before"]]
    if is_disordered(vector):
        return need(not news, "After")
    request, response = (message_of(part["frames"], asked)
                         for part, asked in zip(in_turns(vector["messages"]), (None, "ask")))
    (name, said), (answer, what) = request[1][0], response[1][0]
    need(name == "ask", "Grammar")
    asks = said["head"]
    if key is None:
        need(answer == "refusal" and "Malformed" in what and what == vector["refused"] and not news, "Refused")
        return
    need(answer == "asked" and vector["refused"] is None, "Answer")
    need(agrees(asks["versions"]) and what["version"] == VERSION, "Version")
    settings = Settings(held) if asks["tree"] == history.entries[0]["id"] else None
    worth = redeemed(asks, key, settings, own, now) if asks["invite"] and settings else None
    if worth:
        permission, is_written = worth
        need(what["outcome"] == {"Approved": permission}, "Outcome")
        need(len(news) == is_written, "After")
        for one in news:
            check_grant(history.entries[history.at[one]], asks, key, settings, own)
        return
    need(not news, "After")
    number = request_id(asks, BASE64[1](said["metadata"]), key)
    decided = [one["outcome"] for one in vector["decided"] if (one["id"], one["key"]) == (number, key)]
    outcome = decided[0] if decided else "Received"
    if "Approved" in outcome and settings.strength(key) < 0:
        outcome = "Received"
    need(what["outcome"] == outcome, "Outcome")
