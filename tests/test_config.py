from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from clipsearch.config import LIBRARY_VARIABLE, DatabaseUrl, library_place, typed_path
from clipsearch.errors import ConfigError

SECRET = "postgresql://anna:s3cr%40t@db.example:5433/photos?sslmode=require&password=hidden"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_an_address_is_told_from_a_path(scheme: str) -> None:
    place = library_place(f"{scheme}://anna@db.example/photos")
    assert isinstance(place, DatabaseUrl)
    assert place.text == "postgresql+psycopg://anna@db.example/photos"
    assert library_place("photos.library") == Path("photos.library")
    assert library_place(place) is place


def test_what_is_shown_has_no_secrets_in_it() -> None:
    place = DatabaseUrl.parse(SECRET)
    assert str(place) == "postgresql://db.example:5433/photos"
    assert place.identity == "db.example:5433/photos?sslmode=require"
    for shown in (str(place), repr(place), place.identity, f"{place}"):
        assert not any(secret in shown for secret in ("s3cr", "hidden", "anna"))


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_a_typed_path_takes_the_form_of_the_disk(tmp_path: Path, on_disk: str, typed: str) -> None:
    def formed(form: str) -> Path:
        return tmp_path / unicodedata.normalize(form, "Übung") / unicodedata.normalize(form, "café.jpg")

    formed(on_disk).parent.mkdir()
    formed(on_disk).touch()
    assert typed_path(formed(typed)) == formed(on_disk)
    assert typed_path(formed(typed).with_name("ü.jpg")) == formed(on_disk).with_name("ü.jpg")
    assert library_place(str(formed(typed).parent)) == formed(on_disk).parent


def test_a_typed_path_that_can_be_two_stays_as_it_is(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / unicodedata.normalize(form, "ộ.jpg")).touch()
    mixed = tmp_path / "ọ\u0302.jpg"
    assert typed_path(mixed) == mixed
    assert typed_path("~/ü") == Path("~/ü").expanduser()


def test_a_socket_needs_no_host() -> None:
    assert str(DatabaseUrl.parse("postgresql+psycopg://anna@/photos?host=/run/postgresql")) == "postgresql:///photos"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mysql://anna:s3cret@db/photos", "a directory or a PostgreSQL database"),
        ("postgresql://anna:s3cret@db", "has no database name"),
        ("postgresql://anna:s3cret@db:x/photos", "invalid library URL"),
    ],
)
def test_other_addresses_are_refused_without_their_secrets(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as raised:
        library_place(text)
    assert "s3cret" not in str(raised.value)


def test_the_environment_names_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIBRARY_VARIABLE, SECRET)
    assert library_place() == DatabaseUrl.parse(SECRET)
