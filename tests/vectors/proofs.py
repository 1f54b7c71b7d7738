"""docs/http.md and section 9 of docs/protocol.md: what is signed where a transport proves no keys."""

import zlib

from crypto import blake3, derive, verify
from postcard import BASE64, b32, need, unb32


def lines(*each):
    return blake3("".join(f"{line}\n" for line in each).encode())


def signed(key, message, signature):
    need(verify(unb32(key), message, BASE64[1](signature)), "Signature")


def name_of(vector):
    """The hash that names a request."""
    sender = vector["sender"] or {"key": "-", "time": 0, "nonce": "0" * 32}
    body = blake3(bytes.fromhex(vector["body"])).hex()
    return lines("pleach/1/http/request", sender["key"], vector["node"], vector["method"], vector["path"], body,
                 sender["time"], sender["nonce"])


def check_request(vector):
    name = name_of(vector)
    need(name.hex() == vector["digest"], "digest")
    sender = vector["sender"]
    if sender is None:
        return
    signed(sender["key"], name, sender["signature"])
    header = f"{sender['key']} {sender['time']} {sender['nonce']} {sender['signature']}"
    need(header == vector["header"], "header")


def check_response(vector):
    key, digest, head = vector["node"], vector["digest"], vector["head"]
    signed(key, lines("pleach/1/http/response/head", key, digest, head["time"]), head["signature"])
    body = blake3(bytes.fromhex(vector["body"])).hex()
    signed(key, lines("pleach/1/http/response/end", key, digest, body), vector["end"])


def check_node(vector):
    low, high = vector["versions"]
    message = lines("pleach/1/http/node", vector["key"], f"{low} {high}", vector["time"], vector["nonce"])
    signed(vector["key"], message, vector["signature"])


def key_lines(side, key, by, to, tree, binding):
    """What the owner of a further key signs."""
    return lines(f"pleach/1/key/{side}", key, by, to, tree or "-", binding)


def check_proof(vector):
    binding = lines("pleach/1/http/binding", vector["time"], vector["nonce"]).hex()
    need(binding == vector["binding"], "binding")
    message = key_lines(vector["side"], vector["key"], vector["by"], vector["to"], vector["tree"], binding)
    signed(vector["key"], message, vector["signature"])


def check_packet(tag, packet):
    """What stands between two zeros, as kind, number and payload."""
    raw = bytes.fromhex(packet["bytes"])
    need(raw[0] == 0 and raw[-1] == 0 and 0 not in raw[1:-1], "Stuffing")
    stuffed, plain, at = raw[1:-1], bytearray(), 0
    while at < len(stuffed):
        code = stuffed[at]
        plain += stuffed[at + 1:at + code]
        need(at + code <= len(stuffed), "Stuffing")
        at += code
        if code < 255 and at < len(stuffed):
            plain.append(0)
    need(6 <= len(plain) <= 518, "Length")
    body, checksum = bytes(plain[:-4]), int.from_bytes(plain[-4:], "little")
    need(zlib.crc32(tag + body) == checksum, "Checksum")
    need(body == bytes([packet["kind"], packet["number"]]) + bytes.fromhex(packet["payload"]), "Packet")


def greeting_of(raw):
    need(raw[0] == 1, "Version")
    frame, at, shift = 0, 1, 0
    while True:
        byte = raw[at]
        frame |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            break
    need(len(raw) == at + 48, "Length")
    return {"version": 1, "frame": frame, "nonce": raw[at:at + 16].hex(), "key": b32(raw[at + 16:])}


def check_serial(vector):
    hello, answer = bytes.fromhex(vector["hello"]), bytes.fromhex(vector["answer"])
    initiator, responder = greeting_of(hello), greeting_of(answer)
    need(initiator == vector["initiator"] and responder == vector["responder"], "greeting")
    digest = derive("pleach 2026 serial v1 session", hello + answer)
    need(digest.hex() == vector["digest"], "digest")
    signed(responder["key"], derive("pleach 2026 serial v1 responder", digest), vector["answered"])
    need(derive("pleach 2026 serial v1 binding", digest).hex() == vector["binding"], "binding")
    signed(initiator["key"], derive("pleach 2026 serial v1 initiator", digest), vector["proved"])
    for packet in vector["packets"]:
        check_packet(bytes(4) if packet["kind"] < 3 else digest[:4], packet)
