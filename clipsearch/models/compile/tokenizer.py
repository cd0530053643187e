"""Exports open_clip's tokenizers to `tokenizer.json`, with identical tokens and without torch or transformers.

Text cleaning (mojibake, entities, case) stays in Python, selected by `TextSpec.cleaning`; everything after it is in the
file, including truncation and padding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from clipsearch.errors import ModelError
from clipsearch.models.manifest import TextCleaning, TextSpec

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CLEANINGS: dict[str, TextCleaning] = {
    "_clean_whitespace": "whitespace",
    "_clean_lower": "lower",
    "_clean_canonicalize": "canonicalize",
}
"""Names of open_clip's cleaning functions."""

_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


@dataclass(frozen=True)
class ExportedTokenizer:
    """A tokenizer and its text cleaning."""

    tokenizer: Tokenizer
    text: TextSpec


def export_tokenizer(source: Any) -> ExportedTokenizer:
    """Convert what `open_clip.get_tokenizer` returned.

    Raises:
        ModelError: a `tokenizer.json` cannot express it.
    """
    exporters: dict[str, Callable[[Any], Tokenizer]] = {"SimpleTokenizer": _clip_bpe, "HFTokenizer": _hugging_face}
    kind = type(source).__name__
    if kind not in exporters:
        raise ModelError(f"open_clip's tokenizer {kind} cannot be compiled")
    cleaning = _CLEANINGS.get(getattr(source.clean_fn, "__name__", ""))
    if cleaning is None or not source.context_length:
        raise ModelError(f"the tokenizer cleans texts by {source.clean_fn!r}, which cannot be compiled")
    return ExportedTokenizer(exporters[kind](source), TextSpec(int(source.context_length), cleaning))


def _clip_bpe(source: Any) -> Tokenizer:
    """CLIP's byte-level BPE (`SimpleTokenizer`)."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    if source.reduction_fn is not None or len(source.all_special_ids) != 2 or _clean_keeps_case(source):
        raise ModelError("the model's variant of CLIP's tokenizer (masking, special tokens or case) cannot be compiled")
    start, end = (source.decoder[token] for token in source.all_special_ids)
    vocabulary, merges = _with_special_merges(source, (start, end))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_split_pattern(start, end)), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, source.sot_token_id), (end, source.eot_token_id)]
    )
    tokenizer.enable_truncation(max_length=source.context_length)
    tokenizer.enable_padding(length=source.context_length, pad_id=0, pad_token=source.decoder[0])
    return tokenizer


def _hugging_face(source: Any) -> Tokenizer:
    """The fast tokenizer inside open_clip's `HFTokenizer`."""
    from tokenizers import Tokenizer

    if source.tokenizer_mode:
        raise ModelError(f"the model's tokenizer mode {source.tokenizer_mode!r} cannot be compiled")
    inner = source.tokenizer
    backend = getattr(inner, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(f"{type(inner).__name__} has no fast tokenizer, so it cannot be compiled")
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.enable_truncation(max_length=source.context_length, direction=inner.truncation_side)
    tokenizer.enable_padding(
        direction=inner.padding_side,
        pad_id=inner.pad_token_id,
        pad_type_id=inner.pad_token_type_id,
        pad_token=inner.pad_token,
        length=source.context_length,
    )
    return tokenizer


def _clean_keeps_case(source: Any) -> bool:
    # mixed-case spellings of the special tokens would need more rules; open_clip has no such model
    return bool(source.clean_fn.__name__ == "_clean_whitespace")


def _with_special_merges(source: Any, specials: tuple[str, ...]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's vocabulary and merges, extended so that a special token spelled out in a text becomes one token.

    `tokenizers` looks for special tokens before it splits the text, unlike CLIP's regular expression: in
    ``!!<end_of_text>`` the punctuation comes first and there is no special token. Therefore the split keeps a special
    token together, and merges of the lowest rank join the pieces that CLIP's merges leave. Their intermediate tokens
    occur in no other word, because the split leaves ``<`` before a letter only there.
    """
    vocabulary = {token: index for token, index in source.encoder.items() if token not in specials}
    merges = [pair for pair in source.bpe_ranks if len(pair) == 2]
    unused = len(source.encoder)
    plain = copy.copy(source)
    plain.cache = {}  # has the special tokens unsplit
    for special in specials:
        joined, *pieces = plain.bpe(special).split(" ")
        for piece in pieces:
            merges.append((joined, piece))
            joined += piece
            vocabulary[joined] = unused
            unused += 1
        vocabulary[joined] = source.encoder[special]
        unused -= 1
    return vocabulary, merges


def _split_pattern(*specials: str) -> str:
    """CLIP's regular expression with explicit character classes.

    The regex engine of `tokenizers` has an older Unicode version than the `regex` package of open_clip: 17,000 letters
    would count as punctuation.
    """
    letters, numbers, others = _ranges(r"[\p{L}]"), _ranges(r"[\p{N}]"), _ranges(r"[^\s\p{L}\p{N}]")
    words = "|".join(_any_case(word) for word in (*specials, *_CONTRACTIONS))
    return f"{words}|[{letters}]+|[{numbers}]|[{others}]+"


def _any_case(word: str) -> str:
    """A regular expression for a word in any case, as `regex.IGNORECASE` matches it, including the long s."""
    classes = (f"[{character}{character.upper()}]" if character.isalpha() else character for character in word)
    return "".join(classes).replace("[sS]", "[sSſ]")


@cache
def _ranges(pattern: str) -> str:
    """The inside of a character class with all code points that `regex` matches with ``IGNORECASE``.

    Case matters: U+0345 is not a letter, but its upper case is.
    """
    import regex

    universe = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    spans = (match.group() for match in regex.finditer(f"{pattern}+", universe, regex.IGNORECASE))
    return "".join(f"\\x{{{ord(span[0]):X}}}-\\x{{{ord(span[-1]):X}}}" for span in spans)
