"""What a person asks for, checked: a pure parser, no model and no library needed; see docs/query.md."""

from clipsearch.query.ast import (
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
    Region,
    Size,
    Term,
    TextTerm,
    Value,
    YearlyDays,
    names_field,
)
from clipsearch.query.hints import hints
from clipsearch.query.parser import check_k, explainable_query, parse_query
from clipsearch.query.references import read_reference
from clipsearch.query.values import BadValueError, same_extensions, shown

__all__ = [
    "And",
    "BadValueError",
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
    "Region",
    "Size",
    "Term",
    "TextTerm",
    "Value",
    "YearlyDays",
    "check_k",
    "explainable_query",
    "hints",
    "names_field",
    "parse_query",
    "read_reference",
    "same_extensions",
    "shown",
]
