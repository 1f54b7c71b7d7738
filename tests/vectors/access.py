"""The rule of docs/decisions/what-counts.md, judged from the strongest authority down.

Permissions are numbers here, the higher the stronger. Whether an entry's author ranks above some bound depends only on who
ranks above higher bounds; so all bounds that occur are gone through from the highest to the lowest, and a table says for each
of them which entries have such an author.
"""

from entries import grants_and_revocations

READ, STRONGEST_WRITE = 0, 2**16


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

    def counting(self, held):
        """The entries of a set that count in it."""
        held = set(held)
        bounds = {self.needs(place) for place in held}
        bounds |= {strength(grant["permission"]) for place in held for grant in (self.said[place] or {"grants": []})["grants"]}
        above = {}
        for bound in sorted(bounds, reverse=True):
            above[bound] = {place for place in held if self._above(held, place, bound, above)}
        return {place for place in held if place in above[self.needs(place)]}

    def _above(self, held, place, bound, above):
        author = self.entries[place]["author"]
        if author == self.root_key:
            return True
        for maker in self.below[place] & held:
            for grant in (self.said[maker] or {"grants": []})["grants"]:
                given = strength(grant["permission"])
                if grant["who"] not in (author, "*") or given <= bound or maker not in above[self.needs(maker)]:
                    continue
                if not self._revoked(held, place, maker, grant["who"], given, above):
                    return True
        return False

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
