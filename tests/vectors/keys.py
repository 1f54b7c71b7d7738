"""Section 12 of docs/protocol.md: the keys that a message shows, and what they may read."""

from crypto import verify
from postcard import BASE64, unb32
from proofs import key_lines


def shown(proofs, part, keys, tree):
    """The further keys that the proofs in front of a message show; None if one of them is worth nothing. `keys`: the node
    keys of both sides."""
    by = part["from"]
    to = "responder" if by == "initiator" else "initiator"
    for proof in proofs:
        if keys[by] is None or part.get("binding") is None:
            return None
        said = key_lines(by, proof["key"], keys[by], keys[to], tree, part["binding"])
        if not verify(unb32(proof["key"]), said, BASE64[1](proof["signature"])):
            return None
    return [proof["key"] for proof in proofs]


def may_read(history, held, node, further):
    """Whether a tree is served to whoever has proven a node key, or none, and shows further keys."""
    return bool(held) and any(history.permission(held, key) is not None for key in [None, node] + further)
