"""Tokens: made, kept as hashes, found again, taken away while a server runs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clipsearch.cli import cli
from clipsearch.errors import ConfigError
from clipsearch.server.run import check_tokens
from clipsearch.server.tokens import Scope, TokenFile, add_token, find_token, read_tokens, remove_token


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_found_by_itself_alone(token_path: Path) -> None:
    first = add_token(token_path, "first", [Scope.READ])
    second = add_token(token_path, "second", [Scope.METRICS, Scope.IMAGES])
    tokens = read_tokens(token_path)
    assert [token.name for token in tokens] == ["first", "second"]
    found = find_token(tokens, second)
    assert found is not None and (found.name, found.scopes) == ("second", {Scope.METRICS, Scope.IMAGES})
    for wrong in ("", first[:-1], first + "x", first.upper(), found.sha256, "\udcff"):
        assert find_token(tokens, wrong) is None


def test_only_hashes_are_kept_and_for_nobody_else_to_read(token_path: Path) -> None:
    secret = add_token(token_path, "first", [Scope.READ])
    assert len(secret) > 40 and secret.startswith("clipsearch_")
    assert secret not in token_path.read_text() and secret.partition("_")[2] not in token_path.read_text()
    if os.name == "posix":
        assert stat.S_IMODE(token_path.stat().st_mode) == 0o600
    assert [path.name for path in token_path.parent.glob("*tokens*")] == ["tokens.json"]


@pytest.mark.parametrize("name", ["", " ", "-x", "a\nb", "x" * 101, "first", " first "])
def test_names_that_will_not_do_are_told(token_path: Path, name: str) -> None:
    add_token(token_path, "first", [Scope.READ])
    with pytest.raises(ConfigError):
        add_token(token_path, name, [Scope.READ])
    assert len(read_tokens(token_path)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "tokens": []}',
        '{"format": 1, "tokens": [{}]}',
        '{"format": 1, "tokens": [{"name": "a", "scopes": ["all"], "sha256": "", "added_at": ""}]}',
        '{"format": 1, "tokens": [{"name": "a", "scopes": "read", "sha256": "", "added_at": ""}]}',
    ],
)
def test_a_file_that_is_none_is_told_and_left_alone(token_path: Path, content: str) -> None:
    token_path.write_text(content)
    with pytest.raises(ConfigError):
        TokenFile(token_path)
    with pytest.raises(ConfigError):
        add_token(token_path, "first", [Scope.READ])
    assert token_path.read_text() == content


def test_what_changes_holds_without_a_restart(token_path: Path) -> None:
    clock = Clock()
    first = add_token(token_path, "first", [Scope.READ])
    file = TokenFile(token_path, clock=clock)
    assert file.required and file.find(first) is not None
    second = add_token(token_path, "second", [Scope.READ])
    remove_token(token_path, "first")
    clock.now += 2
    assert file.find(first) is None and file.find(second) is not None


def test_a_file_that_goes_away_opens_nothing(token_path: Path) -> None:
    clock = Clock()
    first = add_token(token_path, "first", [Scope.READ])
    file = TokenFile(token_path, clock=clock)
    token_path.unlink()
    clock.now += 2
    assert file.find(first) is None and file.required


def test_half_a_file_changes_nothing(token_path: Path) -> None:
    clock = Clock()
    first = add_token(token_path, "first", [Scope.READ])
    file = TokenFile(token_path, clock=clock)
    whole = token_path.read_text()
    token_path.write_text(whole[:40])
    clock.now += 2
    assert file.find(first) is not None
    token_path.write_text(whole.replace("first", "renamed"))
    clock.now += 2
    found = file.find(first)
    assert found is not None and found.name == "renamed"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.20", "photos.example"])
def test_others_are_served_with_tokens_only(token_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="serve token add"):
        check_tokens(address, TokenFile(token_path))
    add_token(token_path, "first", [Scope.READ])
    check_tokens(address, TokenFile(token_path))


# --- the commands -------------------------------------------------------------------------------------


def _run(library: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--library", str(library), "serve", *arguments])


def test_the_commands_make_list_and_take_away(tmp_path: Path) -> None:
    made = _run(tmp_path, "token", "add", "website", "--scope", "read", "--scope", "images")
    assert made.exit_code == 0
    (secret,) = made.stdout.splitlines()
    assert "tokens.json" in made.stderr and secret not in made.stderr
    found = find_token(read_tokens(tmp_path / "tokens.json"), secret)
    assert found is not None and found.scopes == {Scope.READ, Scope.IMAGES}
    listed = _run(tmp_path, "token", "list")
    assert "website  images, read" in listed.stdout and secret not in listed.stdout
    (record,) = json.loads(_run(tmp_path, "token", "list", "--json").stdout)
    assert (record["name"], record["scopes"]) == ("website", ["images", "read"])
    assert _run(tmp_path, "token", "remove", "website").exit_code == 0
    assert "no tokens yet" in _run(tmp_path, "token", "list").stdout
    again = _run(tmp_path, "token", "remove", "website")
    assert again.exit_code == 1 and "no token is named website" in again.stderr


def test_tokens_may_be_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "mine.json"
    assert _run(tmp_path / "library", "token", "add", "me", "--token-file", str(file)).exit_code == 0
    assert [token.name for token in read_tokens(file)] == ["me"] and not (tmp_path / "library").exists()


def test_a_network_without_tokens_is_refused_before_anything_is_loaded(tmp_path: Path, indexed: object) -> None:
    refused = _run(tmp_path / "library", "--address", "0.0.0.0", "--port", "0")
    assert refused.exit_code == 1 and "serve token add" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_without_a_library_that_is_said(tmp_path: Path) -> None:
    refused = _run(tmp_path / "library", "--port", "0")
    assert refused.exit_code == 1 and "clipsearch index" in refused.stderr
