from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from clipsearch.catalog.sqlite.file import CATALOG_NAME
from clipsearch.cli.commands.saved import format_new_match
from clipsearch.errors import ConfigError, QueryError
from clipsearch.library import Library
from clipsearch.retrieval.saved_searches import NewMatches
from clipsearch.system.file_lock import writer_lock
from tests.conftest import ColourEncoder, Notes, Run, save_photo


def names(library: Library) -> list[tuple[str, str]]:
    return [(saved.name, saved.line) for saved in library.saved.all()]


# --- keeping ----------------------------------------------------------------------------------------------


def test_a_search_is_kept_in_its_canonical_form(indexed: Library) -> None:
    saved = indexed.saved.add("  dark ones ", '"red" -1:green   RATING:>=4')
    assert (saved.name, saved.line) == ("dark ones", "red -green rating:>=4")
    assert names(indexed) == [("dark ones", "red -green rating:>=4")]
    assert indexed.saved.get("dark ones") == saved
    assert saved.saved_at.tzinfo is not None


def test_a_taken_name_is_replaced_only_when_asked(indexed: Library) -> None:
    indexed.saved.add("x", "red")
    with pytest.raises(ConfigError, match="x is already saved: red; use --replace"):
        indexed.saved.add("x", "green")
    indexed.saved.add("x", "green", replace=True)
    assert names(indexed) == [("x", "green")]


@pytest.mark.parametrize("name", ["", "  ", "-x", "a\nb", "\x1b[31m", "x" * 101, "caf\udce9"])
def test_what_cannot_be_a_name(indexed: Library, name: str) -> None:
    with pytest.raises(ConfigError, match="the name of a saved search must have"):
        indexed.saved.add(name, "red")


def test_a_wrong_query_is_not_kept(indexed: Library) -> None:
    with pytest.raises(QueryError):
        indexed.saved.add("x", "camra:fuji")
    assert names(indexed) == []


@pytest.mark.parametrize("name", ["ünï 😀", "a//ad", "café", "'; DROP TABLE files; --", "%_"])
def test_every_name_and_line_comes_back_as_it_was(indexed: Library, name: str) -> None:
    indexed.saved.add(name, '"http://ab//ad"')
    assert names(indexed) == [(name, '"http://ab//ad"')]
    assert indexed.saved.remove(name).name == name
    assert names(indexed) == []


def test_pictures_are_kept_with_their_full_path(
    indexed: Library, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos)
    line = indexed.saved.add("like red", "~red.png -0.5:~#a1b2c3d4").line
    assert line == f"~{photos / 'red.png'} -0.5:~#a1b2c3d4"


def test_an_unknown_name_is_told_with_the_nearest(indexed: Library) -> None:
    indexed.saved.add("beach", "red")
    for ask in (indexed.saved.get, indexed.saved.remove, indexed.saved.new_results):
        with pytest.raises(ConfigError, match=r"no saved search is named baech; did you mean beach\?"):
            ask("baech")


def test_searches_are_kept_while_another_process_writes(indexed: Library) -> None:
    with writer_lock(indexed.path):
        indexed.saved.add("x", "red")
        indexed.saved.new_results("x")


# --- what is new ------------------------------------------------------------------------------------------


def test_only_what_has_come_since_is_new_and_only_once(indexed: Library, photos: Path) -> None:
    indexed.saved.add("x", "red")
    assert indexed.saved.new_matches() == [] and indexed.saved.new_results("x") == []
    save_photo(photos / "new red.png", "red")
    save_photo(photos / "new black.png", "black")
    indexed.index()
    assert indexed.saved.new_matches(k=3) == [NewMatches("x", "red", 1)]
    assert indexed.saved.new_matches(k=3) == [NewMatches("x", "red", 1)], "it stays new until it is looked at"
    (new,) = indexed.saved.new_results("x", k=3)
    assert (new.path, new.rank) == (photos / "new red.png", new.rank) and new.rank in (1, 2)
    assert indexed.saved.new_matches(k=3) == [] and indexed.saved.new_results("x", k=3) == []


def test_a_copy_or_a_move_is_not_new(indexed: Library, photos: Path) -> None:
    indexed.saved.add("x", "red")
    (photos / "copy.png").write_bytes((photos / "red.png").read_bytes())
    (photos / "green.png").rename(photos / "moved.png")
    indexed.index()
    assert indexed.saved.new_matches() == []


def test_copies_of_a_new_picture_count_once(indexed: Library, photos: Path) -> None:
    indexed.saved.add("x", "red")
    photo = save_photo(photos / "new.png", "red")
    (photos / "copy.png").write_bytes(photo.read_bytes())
    indexed.index()
    assert [match.count for match in indexed.saved.new_matches()] == [1]
    assert len(indexed.saved.new_results("x", k=3)) == 2


def test_filters_alone_find_everything_that_is_new(indexed: Library, photos: Path) -> None:
    indexed.saved.add("pngs", "ext:png")
    for shade in range(5):
        save_photo(photos / f"zz {shade}.png", (shade * 20, 0, 0))
    indexed.index()
    assert [match.count for match in indexed.saved.new_matches(k=1)] == [5]
    assert len(indexed.saved.new_results("pngs", k=1)) == 5


def test_saved_in_an_empty_library_everything_is_new(library: Library, photos: Path) -> None:
    library.saved.add("x", "red")
    assert library.saved.new_matches() == []
    library.index(photos)
    assert [match.count for match in library.saved.new_matches()] == [6]


def test_a_change_of_the_model_makes_nothing_new(indexed: Library, encoder: ColourEncoder) -> None:
    """The new model's embeddings are all newer than what was seen."""
    indexed.saved.add("x", "red")
    fill_again(indexed, encoder, drop=False)
    assert indexed.saved.new_matches() == [] and indexed.saved.new_results("x") == []


def test_a_change_of_the_model_that_drops_the_old_one(
    indexed: Library, photos: Path, notes: Notes, encoder: ColourEncoder
) -> None:
    indexed.saved.add("x", "red")
    fill_again(indexed, encoder, drop=True)
    assert indexed.saved.new_results("x") == []
    assert any("new results are unknown after a change of the model" in note for note in notes)
    save_photo(photos / "new.png", "red")
    indexed.index()
    assert [result.path.name for result in indexed.saved.new_results("x")] == ["new.png"]


def fill_again(library: Library, encoder: ColourEncoder, *, drop: bool) -> None:
    """Embed every content once more, as for another model, and maybe drop what was there."""
    with sqlite3.connect(library.path / CATALOG_NAME) as connection:
        connection.execute(
            "INSERT INTO models (spec, fingerprint, dim, precision, added_at)"
            " SELECT spec, 'other', dim, precision, added_at FROM models"
        )
        connection.execute(
            "INSERT INTO embeddings (content_hash, model_id, kind, position, vector)"
            " SELECT content_hash, 2, kind, position, vector FROM embeddings"
        )
        connection.execute("UPDATE catalog_state SET active_model_id = 2, revision = revision + 1")
        if drop:
            connection.execute("DELETE FROM embeddings WHERE model_id = 1")
    connection.close()
    encoder.fingerprint = "other"


def test_a_search_that_cannot_be_done_any_more_stops_no_other(indexed: Library, photos: Path, notes: Notes) -> None:
    save_photo(photos.parent / "reference.png", "blue")
    indexed.saved.add("a", f"~{photos.parent / 'reference.png'}")
    indexed.saved.add("b", "red")
    (photos.parent / "reference.png").unlink()
    save_photo(photos / "new.png", "red")
    indexed.index()
    assert [match.name for match in indexed.saved.new_matches()] == ["b"]
    assert any(note.startswith("saved search a: cannot read") for note in notes)


# --- commands ---------------------------------------------------------------------------------------------


def test_save_and_list(run: Run) -> None:
    assert run("saved").stdout == "no saved searches yet; save one with: clipsearch save NAME QUERY\n"
    done = run("save", "b", "red", "-green", "folder:Summer 2021")
    assert (done.exit_code, done.stdout) == (0, 'saved b: red -green folder:"Summer 2021"\n')
    run("save", "longer", "blue")
    assert run("saved").stdout == 'b       red -green folder:"Summer 2021"\nlonger  blue\n'
    (first, _) = json.loads(run("saved", "--json").stdout)
    assert (first["name"], first["query"]) == ("b", 'red -green folder:"Summer 2021"')
    assert run("save", "b", "blue").exit_code == 1
    assert run("save", "b", "--replace", "blue").stdout == "saved b: blue\n"
    assert run("saved", "--remove", "b").stdout == "removed b: blue\n"
    assert run("saved", "b").exit_code == 1


def test_a_saved_search_is_run_with_every_form(run: Run, tmp_path: Path) -> None:
    run("save", "x", "red")
    assert run("saved", "x", "-k", "2", "--json").stdout == run("search", "red", "-k", "2", "--json").stdout
    assert run("saved", "x", "-k", "1", "-0").stdout.endswith("red.png\0")
    assert run("saved", "x", "--html", tmp_path / "x.html", "--no-preview").exit_code == 0
    assert "<title>x: red</title>" in (tmp_path / "x.html").read_text()


def test_new_results_are_shown_once(run: Run, indexed: Library, photos: Path) -> None:
    run("save", "x", "red")
    save_photo(photos / "new.png", "red")
    indexed.index()
    done = run("saved", "x", "--new", "--jsonl")
    assert (done.exit_code, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")
    again = run("saved", "x", "--new", "--jsonl")
    assert (again.exit_code, again.stdout) == (3, "")
    assert again.stderr.startswith("no new matches of ")


def test_new_looks_at_the_same_number_as_the_report_after_indexing(run: Run, indexed: Library, photos: Path) -> None:
    """Regression: with the ten that a search shows, matches 11 to 20 would be reported and never shown."""
    run("save", "x", "red")
    for number in range(15):
        save_photo(photos / f"new {number}.png", "red")
    indexed.index()
    (match,) = indexed.saved.new_matches()
    assert match.count == 15
    assert len(run("saved", "x", "--new", "--paths").stdout.splitlines()) == 15


def test_the_line_after_indexing_says_how_to_see_them() -> None:
    assert format_new_match(NewMatches("x", "red", 1)) == (
        "new        1 new match of x (see: clipsearch saved x --new)"
    )
    quote = "'" if os.name == "posix" else '"'
    line = format_new_match(NewMatches("birthday cake", "red", 2))
    assert line.endswith(f"2 new matches of birthday cake (see: clipsearch saved {quote}birthday cake{quote} --new)")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--new",), "--new requires the NAME"),
        (("--remove",), "--remove requires the NAME"),
        (("--csv",), "without NAME, only --json is available"),
        (("--open",), "without NAME, only --json is available"),
        (("x", "--new", "--remove"), "--new cannot be combined with --remove"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: tuple[str, ...], part: str) -> None:
    done = run("saved", *arguments)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert part in done.stderr
