"""Addresses of pictures within the page."""

from __future__ import annotations


def thumbnail_url(content_hash: str) -> str:
    """The small preview of a picture, for a grid."""
    return f"/thumbnail/{content_hash}"


def picture_url(content_hash: str) -> str:
    """A picture at the size of a screen."""
    return f"/picture/{content_hash}"
