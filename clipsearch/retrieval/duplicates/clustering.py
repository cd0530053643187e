"""From pairs that match to groups in which every member matches one and the same picture.

Joining whatever is connected would chain: the first shot of a burst matches the second, the second the third, and
at the end a group holds two pictures that are nothing alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Match = Callable[[NDArray[np.int64]], NDArray[np.bool_]]


class StarClustering:
    """Groups around the picture that most others match."""

    def __init__(self, pairs: NDArray[np.int64], *, match: Match) -> None:
        """Start from pairs that match.

        Args:
            pairs: int64 [m, 2].
            match: whether further pairs, int64 [m, 2], match: of those that were no candidates.
        """
        self._match = match
        self._denied: set[tuple[int, int]] = set()
        self._near: dict[int, set[int]] = {}
        for first, second in pairs.tolist():
            self._join(first, second)

    def groups(self) -> list[tuple[int, list[int]]]:
        """The groups: their middle, and the members that match it, one or more, ascending."""
        stars: list[tuple[int, list[int]]] = []
        left = set(self._near)
        while left:
            middles = [self._middle(part) for part in self._connected(left)]
            self._ask((middle, other) for middle in middles for other in self._second_hand(middle, left))
            for middle in middles:
                members = self._near[middle] & left
                stars.append((middle, sorted(members)))
                left -= members | {middle}
            left = {item for item in left if self._near[item] & left}
        return stars

    def _join(self, first: int, second: int) -> None:
        self._near.setdefault(first, set()).add(second)
        self._near.setdefault(second, set()).add(first)

    def _connected(self, left: set[int]) -> Iterable[list[int]]:
        seen: set[int] = set()
        for start in sorted(left):
            if start in seen:
                continue
            part, waiting = [], [start]
            seen.add(start)
            while waiting:
                item = waiting.pop()
                part.append(item)
                new = (self._near[item] & left) - seen
                seen |= new
                waiting.extend(new)
            yield part

    def _middle(self, part: list[int]) -> int:
        members = set(part)
        return min(part, key=lambda item: (-len(self._near[item] & members), item))

    def _second_hand(self, middle: int, left: set[int]) -> set[int]:
        """What only matches something that matches the middle: it may have been no candidate for the middle."""
        near = self._near[middle] & left
        reached = {other for item in near for other in self._near[item]} & left
        return reached - near - {middle}

    def _ask(self, pairs: Iterable[tuple[int, int]]) -> None:
        ordered = {(min(pair), max(pair)) for pair in pairs} - self._denied
        if not ordered:
            return
        asked = np.array(sorted(ordered), dtype=np.int64)
        matches = self._match(asked)
        for pair, is_match in zip(asked.tolist(), matches.tolist(), strict=True):
            if is_match:
                self._join(*pair)
            else:
                self._denied.add((pair[0], pair[1]))
