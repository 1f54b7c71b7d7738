"""BLAKE3 and the check of Ed25519 signatures in plain Python: slow, short, and close to the words of their papers.

BLAKE3: section 2 of its specification. Ed25519: RFC 8032, section 5.1, checked strictly: no point of small order, no scalar
beyond the order, no cofactor.
"""

import hashlib

# ---- BLAKE3

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
SHUFFLE = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
CONTEXT, MATERIAL = 32, 64
MASK = 0xFFFFFFFF
CHUNK = 1024


def _mix(state, a, b, c, d, x, y):
    for word, far, near in ((x, 16, 12), (y, 8, 7)):
        state[a] = state[a] + state[b] + word & MASK
        turned = state[d] ^ state[a]
        state[d] = (turned >> far | turned << 32 - far) & MASK
        state[c] = state[c] + state[d] & MASK
        turned = state[b] ^ state[c]
        state[b] = (turned >> near | turned << 32 - near) & MASK


def _compress(chain, words, counter, length, flags):
    state = [*chain, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for column in range(4):
            a, b, c, d = column, 4 + column, 8 + column, 12 + column
            _mix(state, a, b, c, d, words[2 * column], words[2 * column + 1])
        for column in range(4):
            a, b = column, 4 + (column + 1) % 4
            c, d = 8 + (column + 2) % 4, 12 + (column + 3) % 4
            _mix(state, a, b, c, d, words[8 + 2 * column], words[9 + 2 * column])
        words = [words[at] for at in SHUFFLE]
    return [low ^ high for low, high in zip(state[:8], state[8:])]


def _words(block):
    block = block.ljust(64, b"\0")
    return [int.from_bytes(block[at:at + 4], "little") for at in range(0, 64, 4)]


def _tree(data, key, flags, counter, root):
    """The chaining value over data that begins at chunk `counter`."""
    if len(data) <= CHUNK:
        chain = key
        blocks = [data[at:at + 64] for at in range(0, len(data), 64)] or [b""]
        for at, block in enumerate(blocks):
            extra = CHUNK_START if at == 0 else 0
            if at == len(blocks) - 1:
                extra |= CHUNK_END | root
            chain = _compress(chain, _words(block), counter, len(block), flags | extra)
        return chain
    left = CHUNK
    while left * 2 < len(data):
        left *= 2
    both = _tree(data[:left], key, flags, counter, 0) + _tree(data[left:], key, flags, counter + left // CHUNK, 0)
    return _compress(key, both, 0, 64, flags | PARENT | root)


def _bytes(chain):
    return b"".join(word.to_bytes(4, "little") for word in chain)


def blake3(data):
    """The plain hash, 32 bytes."""
    return _bytes(_tree(data, list(IV), 0, 0, ROOT))


def derive(context, data):
    """The hash in key derivation mode."""
    key = _words(_bytes(_tree(context.encode(), list(IV), CONTEXT, 0, ROOT)))[:8]
    return _bytes(_tree(data, key, MATERIAL, 0, ROOT))


# ---- Ed25519

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
HALF = pow(2, (P - 1) // 4, P)


def _x(y, odd):
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * HALF % P
    if x * x % P != square or (x == 0 and odd):
        return None
    return P - x if x & 1 != odd else x


def _point(data):
    number = int.from_bytes(data, "little")
    odd, y = number >> 255, number % 2**255
    x = _x(y, odd) if y < P else None
    return None if x is None else (x, y, 1, x * y % P)


def _add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point = _add(point, point)
        scalar >>= 1
    return total


def _pack(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = _x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL = _pack((0, 1, 1, 0))


def public_key(seed):
    """The public half of the key pair with this seed."""
    head = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return _pack(_times(head & (2**254 - 8) | 2**254, BASE))


def verify(key, message, signature):
    """Whether the signature is that of the key over the message, checked strictly."""
    a, r, s = _point(key), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    if NEUTRAL in (_pack(_times(8, a)), _pack(_times(8, r))):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    x, y, z, t = a
    return _pack(_add(_times(s, BASE), _times(k, (P - x, y, z, P - t)))) == signature[:32]


def self_test():
    """Known answers: a reader that hashes wrong would call everything wrong."""
    assert blake3(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    letters = bytes(n % 251 for n in range(3073))
    assert blake3(letters).hex().startswith("7124b49501012f81cc7f11ca069ec922"), blake3(letters).hex()
    context = "BLAKE3 2019-12-27 16:29:52 test vectors context"
    assert derive(context, letters[:3073]).hex().startswith("72613c9ec9ff7e40f8f5c173784c532a"), "derivation"
    # RFC 8032, section 7.1, test 2.
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert public_key(seed) == key and verify(key, b"\x72", signature) and not verify(key, b"\x73", signature)


self_test()
