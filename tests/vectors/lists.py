"""Sections 3 and 12 of docs/protocol.md: lists of the trees that whoever asks may read."""

from keys import may_read, shown
from postcard import need, unb32
from sessions import VERSION, agrees, history_of, in_turns, message_of

MAX_LINES, MAX_NAME = 256, 128


def name_of(history):
    """The text at `name` in the settings, which one entry wrote, cut at a character."""
    stores = [store["data"] for entry in history.entries for store in entry["stores"]]
    writes = [write for store in stores if "settings" in store for write in store["settings"]["writes"]]
    (_, name), = [write for write in writes if write[0] == "name"]
    return name.encode()[:MAX_NAME].decode(errors="ignore")


def line_of(tree, history):
    shared = history.shared(range(len(history.entries)))
    tips = sorted((history.entries[place]["height"], unb32(history.entries[place]["id"]), history.entries[place]["time"])
                  for place in history.tips(shared))
    changed = max(time for _, _, time in tips[:2])
    return {"tree": tree, "name": name_of(history), "count": len(shared), "changed": changed}


def answer_of(asks, trees, node, further):
    """What has to be answered."""
    if not agrees(asks["versions"]):
        return "refusal", "Incompatible"
    if further is None:
        return "refusal", "Unknown"
    after = unb32(asks["after"]) if asks["after"] else b""
    behind = [tree for tree in sorted(trees, key=unb32) if unb32(tree) > after]
    readable = [tree for tree in behind if may_read(trees[tree], set(range(len(trees[tree].entries))), node, further)]
    lines = [line_of(tree, trees[tree]) for tree in readable[:MAX_LINES]]
    return "tree_list", {"head": {"version": VERSION, "more": len(readable) > MAX_LINES}, "trees": lines}


def check_list(vector):
    histories = [history_of(raws)[0] for raws in vector["trees"]]
    trees, keys = {history.entries[0]["id"]: history for history in histories}, vector["keys"]
    asks = None
    for part in in_turns(vector["messages"]):
        proofs, message = message_of(part["frames"], asks and "trees")
        if part["from"] == "initiator":
            need(message[0][0] == "trees", "Grammar")
            further, asks = shown(proofs, part, keys, None), message[0][1]
            continue
        (kind, what), (name, said) = answer_of(asks, trees, keys["initiator"], further), message[0]
        need(name == kind, "Answer")
        if kind == "refusal":
            need(said == vector["refused"] and (said == what or what in said), "Refused")
        else:
            need(said["head"] == what["head"] and vector["refused"] is None, "Head")
            need(said["trees"] == what["trees"], "Trees")
        asks = None
    need(asks is None, "Turns")
