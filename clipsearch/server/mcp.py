"""The library for an assistant: tools over the Model Context Protocol, on stdin and stdout.

Source: Model Context Protocol, https://modelcontextprotocol.io/specification.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from clipsearch.errors import ClipSearchError
from clipsearch.retrieval.results_json import result_to_json
from clipsearch.server.picture_ids import without_paths
from clipsearch.server.responses import picture_to_json, status_to_json
from clipsearch.server.settings import MAX_OFFSET

if TYPE_CHECKING:
    from clipsearch.library import Library
    from clipsearch.retrieval.results import Group

MAX_RESULTS = 50
"""Results of one answer at most: an assistant reads all of them."""

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")

_INSTRUCTIONS = """Searches the user's own pictures by what they show. Describe a picture as its caption would, such as
"two dogs playing in the snow". Filters narrow a search: date:2021-06..2021-08, camera:fuji, folder:Crete, rating:>=4,
near:35.3,25.1,20km, tag:dog. A result's match is strong, possible or none; none means that it is probably not what was
looked for. Results are named by their content_hash: pass it to the other tools to see one or to find what is like it.
"""

_READS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Hash = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="The content_hash of a result.")]
Count = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="How many results at most.")]
Offset = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many of the best to pass over, to see the next.")]


def build_server(library: Library) -> MCPServer[Any]:
    """The server over an open library, not running yet; `run` serves stdin and stdout until stdin ends."""
    server: MCPServer[Any] = MCPServer(
        "clipsearch", title="clipsearch", instructions=_INSTRUCTIONS, version=version("clipsearch"), log_level="WARNING"
    )
    tools = _Tools(library)
    for tool in (tools.search, tools.similar, tools.picture, tools.status):
        server.add_tool(_with_readable_errors(tool), annotations=_READS_ONLY)
    server.add_tool(_with_readable_errors(tools.thumbnail), annotations=_READS_ONLY, structured_output=False)
    return server


class _Tools:
    """The tools; their docstrings are what the assistant reads."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def search(
        self,
        query: Annotated[str, Field(min_length=1, description="What the pictures show, and filters.")],
        k: Count = 10,
        offset: Offset = 0,
        min_match: Annotated[
            Literal["strong", "possible", "any"], Field(description="Leave out results that match less.")
        ] = "any",
        group_duplicates: Annotated[bool, Field(description="One result for all versions of a photo.")] = False,
    ) -> dict[str, Any]:
        """Find pictures by what they show, and by filters: date, camera, folder, place, rating, tags."""
        without_paths(query)
        group: Group = "duplicates" if group_duplicates else "none"
        results = self._library.search(query, k=k, offset=offset, min_match=min_match, group=group)
        return _clean({"results": [result_to_json(result) for result in results]})

    def similar(
        self,
        content_hash: Hash,
        k: Count = 10,
        offset: Offset = 0,
        where: Annotated[str, Field(description="Filters that results have to pass.")] = "",
    ) -> dict[str, Any]:
        """Find pictures that are like one of the library; itself and its copies are left out."""
        results = self._library.similar(f"~#{content_hash}", k=k, offset=offset, where=where)
        return _clean({"results": [result_to_json(result) for result in results]})

    def picture(self, content_hash: Hash) -> dict[str, Any]:
        """All that the library knows of a picture: files, date, camera, place, title, keywords, rating, tags."""
        details = picture_to_json(self._library.browse.picture(content_hash))
        del details["thumbnail"]  # the address of a server that there is none of here
        return _clean(details)

    def thumbnail(self, content_hash: Hash) -> Image:
        """A picture itself, small, to look at."""
        return Image(data=self._library.browse.preview(content_hash).jpeg, format="jpeg")

    def status(self) -> dict[str, Any]:
        """What the library holds: how many pictures, of which folders, by which model they are searched."""
        return _clean(status_to_json(self._library))


def _with_readable_errors(tool: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """A tool whose errors tell the assistant what to do about them."""

    @wraps(tool)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return tool(*args, **kwargs)
        except ClipSearchError as error:
            raise ToolError(_readable(str(error))) from error

    return guarded


def _clean(content: dict[str, Any]) -> dict[str, Any]:
    """An answer of text that any client can read, whatever bytes are in the names of files."""
    cleaned: dict[str, Any] = json.loads(_readable(json.dumps(content, ensure_ascii=False)))
    return cleaned


def _readable(text: str) -> str:
    """Text with the bytes replaced that are none."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
