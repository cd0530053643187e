"""``clipsearch mcp``, asked by the SDK's own client over the process's stdin and stdout."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from clipsearch.library import Library
from clipsearch.server.mcp import build_server
from tests.conftest import save_photo


def _text(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def _ask(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, _text(result)
    return result.structured_content


def test_an_assistant_finds_and_sees_pictures(by_mini: Path, tmp_path: Path) -> None:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "clipsearch", "--library", str(by_mini), "mcp"],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )

    async def talk() -> None:
        with (tmp_path / "log").open("w") as log:
            async with Client(stdio_client(server, errlog=log)) as client:
                tools = {tool.name: tool for tool in (await client.list_tools()).tools}
                assert set(tools) == {"search", "similar", "picture", "thumbnail", "status"}
                for tool in tools.values():
                    assert tool.description and tool.annotations is not None and tool.annotations.read_only_hint
                found = await _ask(client, "search", query="a red wall", k=2)
                assert len(found["results"]) == 2 and found["notices"] == []
                unknown = await _ask(client, "search", query="🐈")
                assert unknown["results"] == [] and "--model multilingual" in unknown["notices"][0]
                best = found["results"][0]
                assert Path(best["path"]).name == "red.png" and best["match"] in ("strong", "possible", "none")
                like = await _ask(client, "similar", content_hash=best["content_hash"])
                assert len(like["results"]) == 5
                known = await _ask(client, "picture", content_hash=best["content_hash"])
                assert known["files"][0]["path"] == best["path"] and "metadata" in known
                (shown,) = (await client.call_tool("thumbnail", {"content_hash": best["content_hash"]})).content
                assert isinstance(shown, ImageContent) and shown.mime_type == "image/jpeg"
                with Image.open(io.BytesIO(base64.b64decode(shown.data))) as image:
                    assert image.size == (300, 200)
                assert (await _ask(client, "status"))["pictures"] == 6

    asyncio.run(talk())
    (logged,) = (tmp_path / "log").read_text().splitlines()
    assert "does not know" in logged


def _talk(library: Library, story: Callable[[Client], Awaitable[None]]) -> None:
    async def talk() -> None:
        async with Client(build_server(library)) as client:
            await story(client)

    asyncio.run(talk())


def test_mistakes_are_told_so_that_they_can_be_mended(indexed: Library) -> None:
    wrong: list[tuple[str, dict[str, object], str]] = [
        ("search", {"query": "camra:fuji"}, "did you mean camera"),
        ("search", {"query": "~/etc/passwd"}, "paths are not accepted"),
        ("search", {"query": "red", "k": 51}, "k"),
        ("search", {"query": ""}, "query"),
        ("search", {}, "query"),
        ("similar", {"content_hash": "0" * 32}, "no picture"),
        ("picture", {"content_hash": "../../etc/passwd"}, "content_hash"),
        ("picture", {"content_hash": "0" * 32}, "no picture"),
        ("thumbnail", {"content_hash": "0" * 32}, "no picture"),
        ("nothing", {}, "nothing"),
    ]

    async def story(client: Client) -> None:
        for tool, arguments, said in wrong:
            result = await client.call_tool(tool, arguments)
            assert result.is_error and said in _text(result), (tool, arguments)

    _talk(indexed, story)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_can_be_told(indexed: Library, photos: Path) -> None:
    save_photo(photos / "odd.png", "red", size=(40, 40)).rename(photos / "odd\udce9.png")
    indexed.index(photos)

    async def story(client: Client) -> None:
        (found,) = (await _ask(client, "search", query="path:odd*"))["results"]
        assert Path(found["path"]).name == "odd\ufffd.png"

    _talk(indexed, story)


def test_without_a_library_that_is_said(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from clipsearch.cli import cli

    refused = CliRunner().invoke(cli, ["--library", str(tmp_path / "library"), "mcp"])
    assert refused.exit_code == 1 and "clipsearch index" in refused.stderr and not refused.stdout
