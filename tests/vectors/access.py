"""The rule of docs/decisions/what-counts.md, judged from the strongest authority down.

Permissions are numbers here, the higher the stronger. Whether an entry's author ranks above some bound depends only on who
ranks above higher bounds; so all bounds that occur are gone through from the highest to the lowest, and a table says for each
of them which entries have such an author.
"""

from entries import grants_and_revocations

READ, STRONGEST_WRITE, STRONGEST = 0, 2**16, 2**18


def strength(permission):
    if permission == "Read":
        return READ
    (kind, number), = permission.items()
    return STRONGEST_WRITE - number + (2**16 if kind == "Admin" else 0)


class History:
    """Entries as they were read, each after its parents."""

    def __init__(self, entries):
        self.at = {entry["id"]: place for place, entry in enumerate(entries)}
        self.entries = entries
        self.parents = [[self.at[parent] for parent in entry["parents"]] for entry in entries]
        self.below = []
        for parents in self.parents:
            self.below.append(set(parents).union(*(self.below[parent] for parent in parents)))
        self.said = [grants_and_revocations(entry) for entry in entries]
        self.root_key = entries[0]["author"]

    def needs(self, place):
        """What the author of an entry must rank above."""
        if self.said[place] is None:
            return READ
        return max([STRONGEST_WRITE] + [strength(grant["permission"]) for grant in self.said[place]["grants"]])

    def _table(self, held):
        """For each bound that occurs in a set, the entries whose authors rank above it."""
        bounds = {self.needs(place) for place in held}
        bounds |= {strength(grant["permission"]) for place in held for grant in self.grants(place)}
        above = {}
        for bound in sorted(bounds, reverse=True):
            above[bound] = {place for place in held if self._above(held, place, bound, above)}
        return above

    def grants(self, place):
        return self.said[place]["grants"] if self.said[place] else []

    def counting(self, held):
        """The entries of a set that count in it."""
        held = set(held)
        above = self._table(held)
        return {place for place in held if place in above[self.needs(place)]}

    def permission(self, held, key):
        """The strongest grant that would stand for an entry by this key on top of what is shared, or by nobody in
        particular; nothing if there is none."""
        if key == self.root_key:
            return STRONGEST
        shared, place = self.shared(held), len(self.entries)
        self.entries.append({"author": key})
        self.below.append(shared)
        self.said.append(None)
        try:
            held = shared | {place}
            above = self._table(held)
            given = [strength(grant["permission"]) for maker in shared if maker in above[self.needs(maker)]
                     for grant in self.grants(maker) if self._stands(held, place, maker, grant, above)]
        finally:
            for each in (self.entries, self.below, self.said):
                each.pop()
        return max(given, default=None)

    def _above(self, held, place, bound, above):
        author = self.entries[place]["author"]
        if author == self.root_key:
            return True
        for maker in self.below[place] & held:
            for grant in self.grants(maker):
                if strength(grant["permission"]) > bound and maker in above[self.needs(maker)] and \
                        self._stands(held, place, maker, grant, above):
                    return True
        return False

    def _stands(self, held, place, maker, grant, above):
        """A grant by an entry that counts stands for another on top of it."""
        who, given = grant["who"], strength(grant["permission"])
        named = who in (self.entries[place]["author"], "*")
        return named and not self._revoked(held, place, maker, who, given, above)

    def _revoked(self, held, place, maker, who, given, above):
        for revoker in held:
            if self.said[revoker] is None or place in self.below[revoker]:
                continue
            revoked = self.said[revoker]["revocations"]
            before = revoker == maker or revoker in self.below[maker]
            hits = who in revoked and not before
            hits = hits or (who == "*" and self.entries[place]["author"] in revoked)
            if hits and revoker in above[max(self.needs(revoker), given)]:
                return True
        return False

    def is_valid(self, place):
        return place in self.counting(self.below[place] | {place})

    def shared(self, held):
        counting = self.counting(held)
        return counting.union(*(self.below[place] for place in counting))

    def tips(self, held):
        parents = {parent for place in held for parent in self.parents[place]}
        return set(held) - parents
