#!/usr/bin/env python3
"""Checks test vectors by a reader of its own: `read.py FILE…`, without a file all beside this one. Exits with 1, and a line
for each vector that does not hold. Needs Python 3.8 and nothing else. Written from docs/protocol.md, docs/http.md and
docs/decisions/what-counts.md."""

import json
import pathlib
import sys
import traceback

from access import History
from asks import check_ask
from entries import read_entry, whole_entry
from lists import check_list
from partial import check_partial
from postcard import Fault, need, read_frame, write_frame
from proofs import check_request, check_serial, check_node, check_proof, check_response
from sessions import check_session
from tickets import check_redemption, check_ticket


def expect(fault, work, *arguments):
    """The work is refused for this reason."""
    try:
        work(*arguments)
    except Fault as found:
        need(found.name == fault, f"refused for {found.name}, not for {fault}")
        return
    raise Fault(f"accepted, and not refused for {fault}")


def bytes_of(vector):
    """The bytes, and the zeros that a long one goes on with."""
    return bytes.fromhex(vector["hex"]) + bytes(vector.get("zeros", 0))


def check_entry(vector):
    raw = bytes_of(vector)
    if "fault" in vector:
        return expect(vector["fault"], whole_entry, raw)
    whole = whole_entry(raw)
    need(whole["id"] == vector["id"], "id")
    need(read_entry(raw) == vector["entry"], "what it says")


def check_message(vector):
    if "text" in vector:
        return expect("Json", json_frame, vector["text"])
    raw = bytes_of(vector)
    if "fault" in vector:
        return expect(vector["fault"], read_frame, raw)
    name, value = read_frame(raw)
    need(name == vector["kind"], "kind")
    need({name: value} == vector["json"], "json")
    need(write_frame(vector["json"]) == raw, "bytes")


def json_frame(text):
    try:
        write_frame(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, Fault):
        raise Fault("Json") from None


def check_permissions(vector):
    entries = [whole_entry(bytes.fromhex(raw)) for raw in vector["entries"]]
    history = History(entries)
    for place, entry in enumerate(entries):
        need(entry["tree"] == entries[0]["id"], "tree")
        heights = [entries[parent]["height"] for parent in history.parents[place]]
        need(entry["height"] == 1 + max(heights, default=-1), "height")
    valid = [place for place in range(len(entries)) if history.is_valid(place)]
    need(valid == vector["valid"], f"valid: {valid}")
    for order in vector["orders"]:
        held = set()
        need(sorted(step["put"] for step in order) == valid, "each valid entry is put once")
        for step in order:
            need(held.issuperset(history.parents[step["put"]]), "parents first")
            held.add(step["put"])
            shared = history.shared(held)
            for name, found in (("counts", history.counting(held)), ("shared", shared), ("tips", history.tips(shared))):
                need(step[name] == sorted(found), f"{name} after {sorted(held)}: {sorted(found)}")


def check_signed(vector):
    work = {"request": check_request, "response": check_response, "node": check_node, "proof": check_proof,
            "serial": check_serial}
    if "fault" in vector:
        return expect(vector["fault"], work[vector["what"]], vector)
    work[vector["what"]](vector)


def check_contact(vector):
    if "fault" in vector:
        return expect(vector["fault"], check_partial, vector)
    check_partial(vector)


def check_invite(vector):
    work = check_redemption if "proof" in vector else check_ticket
    if "fault" in vector:
        return expect(vector["fault"], work, vector)
    work(vector)


CHECKS = {
    "entries": check_entry, "messages": check_message, "sessions": check_session, "partial": check_contact,
    "keys": check_session, "lists": check_list, "asks": check_ask, "permissions": check_permissions,
    "tickets": check_invite, "signed": check_signed,
}


def main(paths):
    checked, wrong = 0, 0
    here = pathlib.Path(__file__).resolve().parent
    for path in map(pathlib.Path, paths or sorted(here.glob("*.json"))):
        holds = json.loads(path.read_text(encoding="utf-8"))
        check = CHECKS[holds["vectors"]]
        need(holds["list"], "a file without vectors")
        for vector in holds["list"]:
            checked += 1
            try:
                check(vector)
            except Fault as fault:
                wrong += 1
                print(f"{path.name}: {vector['name']}: {fault.name}")
            except Exception:  # whatever else goes wrong in reading is wrong in the vector
                wrong += 1
                print(f"{path.name}: {vector['name']}: {traceback.format_exc(limit=-2)}")
    print(f"{checked} vectors checked, {wrong} wrong")
    return 1 if wrong or not checked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
