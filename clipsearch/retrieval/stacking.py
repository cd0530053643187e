"""Group search results by stacks: one result for RAW and JPEG of an exposure, a Live Photo and its film, an edit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from clipsearch.catalog.lazy_catalog import LazyCatalog
from clipsearch.catalog.records import FoundFile
from clipsearch.media.segments import WHOLE_IMAGE
from clipsearch.media.stacks import StackFile, stacks_of
from clipsearch.retrieval.candidates import FEWEST_AT_ONCE, Candidate

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


@dataclass(frozen=True)
class Hit:
    """A result: its files, the first one shown, those of its other versions, and the others of its stack."""

    candidate: Candidate
    files: Sequence[FoundFile]
    versions: Sequence[FoundFile] = ()
    stack: tuple[Path, ...] = ()


class StackMerger:
    """Makes one hit of all hits of a stack, which takes the place of the best of them."""

    def __init__(
        self,
        catalog: LazyCatalog,
        model_id: int,
        *,
        condition: ColumnElement[bool] | None,
        excluded: Collection[int],
        with_copies: bool,
    ) -> None:
        """Bind what is searched.

        Args:
            catalog: of the library.
            model_id: whose embeddings.
            condition: that files have to pass to be shown; the others of their stack are named all the same.
            excluded: ids of embeddings whose stacks are no results.
            with_copies: a hit has all files of its content, not one.
        """
        self._catalog = catalog
        self._model_id = model_id
        self._condition = condition
        self._with_copies = with_copies
        files = [file for found in catalog.files_of(sorted(excluded)).values() for file in found] if excluded else []
        self._claimed = {member.path for stack in self._stacks(files).values() for member in stack}

    def merged(self, hits: Iterable[Hit], *, count: int) -> Iterator[Hit]:
        """The hits in their order, each stack once; `count` are probably needed."""
        left = iter(hits)
        while block := list(islice(left, max(count, FEWEST_AT_ONCE))):
            stacks = self._stacks([file for hit in block for file in hit.files])
            for hit in block:
                files = [file for file in hit.files if file.path not in self._claimed]
                if not files:
                    continue
                stack = next((stacks[file.path] for file in files if file.path in stacks), None)
                left_of_hit = hit if len(files) == len(hit.files) else replace(hit, files=files)
                yield left_of_hit if stack is None else self._of_stack(left_of_hit, stack)

    def _of_stack(self, hit: Hit, stack: tuple[StackFile, ...]) -> Hit:
        """The hit of a stack: it shows the first file of the stack that passes the condition."""
        files = self._shown(hit, stack)
        others = {file.path for file in hit.files} | {
            member.path for found in self._stacks([*hit.files, *files]).values() for member in found
        }
        self._claimed |= others
        others -= {file.path for file in files}
        candidate = hit.candidate
        if files[0].embedding_id != candidate.embedding_id:
            candidate = replace(candidate, embedding_id=files[0].embedding_id, segment=WHOLE_IMAGE)
        versions = [file for file in hit.versions if file.path not in others and file not in files]
        return Hit(candidate, files, versions, tuple(sorted(others)))

    def _shown(self, hit: Hit, stack: tuple[StackFile, ...]) -> list[FoundFile]:
        shown_already = {file.path for file in hit.files}
        for member in stack:
            if member.path in shown_already:
                return list(hit.files)
            if member.embedding_id is None:
                continue
            copies = self._catalog.files_of([member.embedding_id], self._condition).get(member.embedding_id, [])
            shown = [file for file in copies if file.path == member.path]
            if shown:
                return [*shown, *(file for file in copies if file.path != member.path)] if self._with_copies else shown
        return list(hit.files)

    def _stacks(self, files: Sequence[FoundFile]) -> dict[Path, tuple[StackFile, ...]]:
        """The stacks of files that are in one."""
        keys = {(file.root_id, file.stack) for file in files if file.stack is not None}
        if not keys:
            return {}
        members = self._catalog.stack_files(self._model_id, sorted(keys))
        return {member.path: stack for of_root in members.values() for stack in stacks_of(of_root) for member in stack}
