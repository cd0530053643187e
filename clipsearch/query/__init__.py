"""What a person asks for, checked: a pure parser, no model and no library needed; see docs/query.md."""

from clipsearch.query.nodes import (
    And,
    ConceptTerm,
    Condition,
    DateRange,
    Filter,
    ImageTerm,
    Near,
    Not,
    Operator,
    Or,
    Query,
    Size,
    Term,
    TextTerm,
    Value,
)
from clipsearch.query.parser import check_k, parse_query
from clipsearch.query.values import same_extensions

__all__ = [
    "And",
    "ConceptTerm",
    "Condition",
    "DateRange",
    "Filter",
    "ImageTerm",
    "Near",
    "Not",
    "Operator",
    "Or",
    "Query",
    "Size",
    "Term",
    "TextTerm",
    "Value",
    "check_k",
    "parse_query",
    "same_extensions",
]
