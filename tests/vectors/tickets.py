"""Section 8 of docs/protocol.md and docs/protocol.md#11-tickets: tickets, invites, and the proof that one is redeemed."""

import re

from crypto import derive, public_key, verify
from postcard import INVITE, PERMISSION, U16, U64, Bytes, Fault, b32, need, unb32

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:@/"
MAX_ADDRESS, MAX_HINTS, MAX_INVITE = 512, 16, 240


def invite_id(invite):
    fields = {name: of for name, of in INVITE.fields.items() if name != "signature"}
    return derive("pleach 2026 invite v1", b"".join(of.write(invite[name]) for name, of in fields.items()))


def check_promise(invite):
    need(invite["version"] == 1 and 1 <= invite["uses"] <= 1_024, "Worthless")
    signature = INVITE.fields["signature"].write(invite["signature"])
    need(verify(unb32(invite["by"]), invite_id(invite), signature), "Worthless")


def check_proof(invite, redeemer, proof):
    message = derive("pleach 2026 invite redemption v1", invite_id(invite) + unb32(redeemer))
    need(verify(unb32(invite["key"]), message, INVITE.fields["signature"].write(proof)), "Worthless")


def check_redemption(vector):
    invite = vector["invite"]
    check_promise(invite)
    need(b32(invite_id(invite)) == vector["id"], "id")
    check_proof(invite, vector["redeemer"], vector["proof"])


def read_key(text):
    raw = unb32(text)
    need(len(raw) == 32, "Text")
    return b32(raw)


def read_invite(text, tree):
    """An invite of a ticket; nothing if it is of another version."""
    try:
        need(len(text) <= MAX_INVITE)
        data = Bytes(unb32(text))
        if data.take(1)[0] != 1:
            return None
        invite = {"version": 1, "tree": tree, "permission": PERMISSION.read(data), "uses": U16.read(data),
                  "expires": U64.read(data), "by": b32(data.take(32))}
        invite["signature"] = INVITE.fields["signature"].read(data)
        secret = data.take(32)
        need(data.done())
        invite["key"] = b32(public_key(secret))
        check_promise(invite)
    except Fault:
        raise Fault("Invite") from None
    return {**invite, "secret": secret.hex(), "id": b32(invite_id(invite))}


def unescape(text):
    if re.search("%(?![0-9a-fA-F]{2})", text):
        raise ValueError(text)
    raw = re.sub(b"%(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode(), flags=re.S)
    return raw.decode()


def read_address(hint):
    """A hint, or nothing if it is none or names no key."""
    try:
        text = unescape(hint)
        kind, place = text.split(":", 1)
        key, place = place.split("@", 1)
        key = read_key(key)
    except (ValueError, Fault):
        return None
    good = re.fullmatch("[a-z0-9-]+", kind) and place and not re.search(r"[\s@\x00-\x1f\x7f-\x9f]", place)
    return {"transport": kind, "key": key, "place": place} if good and len(text.encode()) <= MAX_ADDRESS else None


def read_ticket(text):
    need(len(text.encode()) <= 3 * MAX_HINTS * MAX_ADDRESS + MAX_INVITE, "Long")
    scheme, found, query = text.strip().partition(":?")
    need(found and scheme.lower() == "pleach", "NotATicket")
    database, invite, addresses = None, None, []
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        if not equals:
            continue
        if name == "db":
            try:
                value = read_key(value)
            except Fault:
                raise Fault("Database") from None
            need(database is None, "TwoDatabases")
            database = value
        elif name == "pr" and len(addresses) < MAX_HINTS:
            address = read_address(value)
            addresses += [address] if address else []
        elif name == "in":
            need(invite is None, "TwoInvites")
            invite = value
    need(database is not None, "NoDatabase")
    if invite is not None:
        invite = read_invite(invite, database)
    return {"database": database, "addresses": addresses, "invite": invite}


def escape(text):
    return "".join(char if char in PLAIN else "".join(f"%{byte:02X}" for byte in char.encode()) for char in text)


def write_ticket(ticket):
    hints = (escape(f"{one['transport']}:{one['key']}@{one['place']}") for one in ticket["addresses"])
    text = f"pleach:?db={ticket['database']}" + "".join(f"&pr={hint}" for hint in hints)
    invite = ticket["invite"]
    if invite:
        fields = (b"\1" + PERMISSION.write(invite["permission"]) + U16.write(invite["uses"]) +
                  U64.write(invite["expires"]) + unb32(invite["by"]) +
                  INVITE.fields["signature"].write(invite["signature"]) + bytes.fromhex(invite["secret"]))
        text += f"&in={b32(fields)}"
    return text


def check_ticket(vector):
    ticket = read_ticket(vector["text"])
    need(ticket == vector["ticket"], "what it says")
    need(write_ticket(ticket) == vector["written"], "how it is written")
