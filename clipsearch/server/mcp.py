"""MCP server: tools for an assistant, over stdin and stdout.

Source: Model Context Protocol, https://modelcontextprotocol.io/specification.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from clipsearch.errors import ClipSearchError
from clipsearch.retrieval.relevance.calibration import MinMatch
from clipsearch.retrieval.results import By, Group, notices_of, result_to_json
from clipsearch.server.picture_ids import without_paths
from clipsearch.server.responses import picture_to_json, status_to_json
from clipsearch.server.settings import MAX_OFFSET

if TYPE_CHECKING:
    from clipsearch.library import Library

MAX_RESULTS = 50
"""Maximum results of one call: an assistant reads all of them."""

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")

_INSTRUCTIONS = """Searches the user's own pictures by what they show. Describe a picture as its caption would, such as
"two dogs playing in the snow". Filters narrow a search: date:2021-06..2021-08, camera:fuji, folder:Crete, rating:>=4,
near:35.3,25.1,20km, tag:dog. A result's match is strong, possible or none; none means that it is probably not relevant.
A result's matched says which of its texts have the words: text (in the picture), title, caption, keyword, name, folder,
camera. text:"total amount" filters by text in pictures. notices list words that the model does not know, and filters
that may have been intended. Results are identified by content_hash: pass it to the other tools to view a picture or to
find similar ones.
"""

_READS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Hash = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="The content_hash of a result.")]
Count = Annotated[int, Field(ge=1, le=MAX_RESULTS, description="Maximum number of results.")]
Offset = Annotated[
    int, Field(ge=0, le=MAX_OFFSET, description="Number of the best results to skip, for the next page.")
]


def build_server(library: Library) -> MCPServer[Any]:
    """Create the server; `run` serves stdin and stdout until stdin is closed."""
    server: MCPServer[Any] = MCPServer(
        "clipsearch", title="clipsearch", instructions=_INSTRUCTIONS, version=version("clipsearch"), log_level="WARNING"
    )
    tools = _Tools(library)
    for tool in (tools.search, tools.similar, tools.picture, tools.status):
        server.add_tool(_with_readable_errors(tool), annotations=_READS_ONLY)
    server.add_tool(_with_readable_errors(tools.thumbnail), annotations=_READS_ONLY, structured_output=False)
    return server


class _Tools:
    """The tools; the assistant reads their docstrings."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def search(
        self,
        query: Annotated[str, Field(min_length=1, description="What the pictures show, and filters.")],
        *,
        k: Count = 10,
        offset: Offset = 0,
        min_match: Annotated[MinMatch, Field(description="Exclude results that match less.")] = "any",
        by: Annotated[By, Field(description="Search words by meaning, by text, or by both.")] = "both",
        group_duplicates: Annotated[bool, Field(description="One result for all versions of a photo.")] = False,
    ) -> dict[str, Any]:
        """Find pictures by what they show, by words in them and in their names and captions, and by filters."""
        without_paths(query)
        group: Group = "duplicates" if group_duplicates else "stacks"
        results = self._library.search(query, k=k, offset=offset, min_match=min_match, group=group, by=by)
        matches = [result_to_json(result) for result in results]
        return _clean({"results": matches, "notices": notices_of(results)})

    def similar(
        self,
        content_hash: Hash,
        k: Count = 10,
        offset: Offset = 0,
        where: Annotated[str, Field(description="Filters on the results.")] = "",
    ) -> dict[str, Any]:
        """Find pictures similar to one of the library, without itself and its copies."""
        results = self._library.similar(f"~#{content_hash}", k=k, offset=offset, where=where)
        return _clean({"results": [result_to_json(result) for result in results]})

    def picture(self, content_hash: Hash) -> dict[str, Any]:
        """Files and metadata of a picture: date, camera, place, title, keywords, rating, tags, the text in it."""
        details = picture_to_json(self._library.browse.picture(content_hash))
        del details["thumbnail"]  # a URL of the HTTP server
        return _clean(details)

    def thumbnail(self, content_hash: Hash) -> Image:
        """View a picture, at preview size."""
        return Image(data=self._library.browse.preview(content_hash).jpeg, format="jpeg")

    def status(self) -> dict[str, Any]:
        """Number of pictures, indexed folders and the model of the library."""
        return _clean(status_to_json(self._library))


def _with_readable_errors(tool: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """Translate errors of a tool for the assistant."""

    @wraps(tool)
    def guarded(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return tool(*args, **kwargs)
        except ClipSearchError as error:
            raise ToolError(_readable(str(error))) from error

    return guarded


def _clean(content: dict[str, Any]) -> dict[str, Any]:
    """Replace bytes of file names that are not UTF-8."""
    cleaned: dict[str, Any] = json.loads(_readable(json.dumps(content, ensure_ascii=False)))
    return cleaned


def _readable(text: str) -> str:
    """Replace lone surrogates."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
