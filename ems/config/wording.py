"""Pydantic's errors in the operator's words: what is wrong, and what to write instead."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import EnumType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from ems.config.assets import ASSET_KINDS
from ems.config.documents import Keys
from ems.config.units import convert, quantity, sibling, unit_of, wanted

Model = type[BaseModel]
SECRET_KEYS = re.compile(r"(?i)(^|_)(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key)s?$")
_INSTANT = "like 2025-05-22T12:00:00"
_LIMIT_WORDS = {
    "greater_than": ("gt", "is not greater than"),
    "greater_than_equal": ("ge", "is below"),
    "less_than": ("lt", "is not below"),
    "less_than_equal": ("le", "is above"),
}
_PATTERN_WORDS = {
    r"^[a-z][a-z0-9_]*$": "write lower-case letters, digits and underscores, a letter first",
    r"^[A-Z]{3}$": "write the three capital letters of ISO 4217, for example EUR",
}


def place(error: Mapping[str, Any]) -> Keys:
    """Give the path in the file that an error of pydantic is about: without union tags and key marks."""
    loc: Keys = tuple(error["loc"])
    if loc[:1] == ("assets",) and len(loc) > 2 and loc[2] != "[key]":
        loc = loc[:2] + loc[3:]
    return loc[:-1] if loc[-1:] == ("[key]",) else loc


def say(error: Mapping[str, Any], model: Model | None) -> str:
    """Say one error; `model` is the part of the schema that the erring key stands in, for its known keys."""
    kind, value = str(error["type"]), error["input"]
    key = str(place(error)[-1]) if place(error) else ""
    if kind in _LIMIT_WORDS:
        bound, words = _LIMIT_WORDS[kind]
        return f"{shown(value)} {words} {error['ctx'][bound]:g}; write {wanted(key)}"
    if kind == "too_short" and error["ctx"]["min_length"] == 1:
        return "names nothing; write at least one"
    if kind in {"too_long", "too_short"} or (kind == "missing" and key.isdigit()):
        return "a pair of numbers is expected; write `[a, b]`"
    speak = _SPEAKERS.get(kind)
    return speak(key, value, error, model) if speak else f"{shown(value)}: {error['msg']}"


def shown(value: Any) -> str:
    """Show a value as it stands in a file, shortened."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case int():
            return str(value)
        case str():
            return repr(value if len(value) <= 40 else value[:37] + "...")
        case _:
            return "a list" if isinstance(value, list | tuple) else "a block of keys"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ` (did you mean x?)` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean `{close[0]}`?)" if close else ""


def meant_key(key: str, model: Model | None) -> str | None:
    """Find the known key that an unknown one stands for: in another unit, or misspelled."""
    known = list(model.model_fields) if model else []
    return sibling(key, known) or next(iter(difflib.get_close_matches(key, known, n=1, cutoff=0.6)), None)


def _missing(key: str, _value: Any, _error: Mapping[str, Any], model: Model | None) -> str:
    annotation = model.model_fields[key].annotation if model and key in model.model_fields else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        elsewhere = ", or name a `zone:` that has one" if key == "comfort" else ""
        return f"is missing; add a block `{key}:` with {', '.join(annotation.model_fields)}{elsewhere}"
    if get_origin(annotation) is dict:
        return f"is missing; add a block `{key}:` with one entry for each of them, by its name"
    return f"is missing; add `{key}:` with {_wanted_of(annotation, key)}"


def _wanted_of(annotation: Any, key: str) -> str:
    """Say what a key wants by its type, and a number by its unit."""
    if annotation is str:
        return "its text"
    if get_origin(annotation) is tuple:
        return "pairs of numbers, `[[a, b], ...]`"
    if annotation is datetime:
        return f"a date and time, {_INSTANT}"
    if isinstance(annotation, EnumType):
        return f"one of {', '.join(map(str, annotation))}"
    return f"one of {', '.join(map(str, get_args(annotation)))}" if get_origin(annotation) is Literal else wanted(key)


def _unknown(key: str, value: Any, _error: Mapping[str, Any], model: Model | None) -> str:
    known = list(model.model_fields) if model else []
    if SECRET_KEYS.search(key):
        return "is a key for a secret, and none belongs in a site file; see docs/operator.md, section Secrets"
    if other := sibling(key, known):
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        turned = convert(float(number), unit_of(key), unit_of(other)) if number is not None else None
        example = f"`{other}: {turned:g}`" if turned is not None and math.isfinite(turned) else f"`{other}`"
        return f"is not known, for this file wants {wanted(other)}; write {example}"
    hint = did_you_mean(key, known)
    return f"is not a known key here{hint}; known are {', '.join(known)}"


def _no_number(key: str, value: Any, _error: Mapping[str, Any], _model: Model | None) -> str:
    if isinstance(value, str) and (parsed := quantity(value)):
        number, unit = parsed
        turned = number if not unit else convert(number, unit, unit_of(key))
        if turned is not None and math.isfinite(turned):
            return f"{shown(value)} is text; write {wanted(key)}, as a bare number: `{key}: {turned:g}`"
    return f"{shown(value)} is not a number; write {wanted(key)}"


def _no_whole_number(key: str, value: Any, _error: Mapping[str, Any], _model: Model | None) -> str:
    return f"{shown(value)} is not a whole number; write {wanted(key)}"


def _not_finite(key: str, value: Any, _error: Mapping[str, Any], _model: Model | None) -> str:
    return f"{shown(value)} is not a finite number; write {wanted(key)}"


def _no_choice(key: str, value: Any, error: Mapping[str, Any], _model: Model | None) -> str:
    if key == "schema_version":
        return f"{shown(value)} is not a version that this ems reads; write {error['ctx']['expected']}"
    choices = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
    hint = did_you_mean(str(value), choices)
    return f"{shown(value)} is not one of {', '.join(choices)}{hint}; write one of them"


def _no_instant(_key: str, value: Any, _error: Mapping[str, Any], _model: Model | None) -> str:
    return f"{shown(value)} is no date and time; write it {_INSTANT}"


def _no_kind(_key: str, value: Any, error: Mapping[str, Any], _model: Model | None) -> str:
    if error["type"] == "union_tag_not_found":
        return f"has no `kind`; add `kind:` with one of {', '.join(ASSET_KINDS)}"
    kind = str(value.get("kind")) if isinstance(value, dict) else ""
    return (
        f"the kind {shown(kind)} is not known{did_you_mean(kind, ASSET_KINDS)}; write one of {', '.join(ASSET_KINDS)}"
    )


def _no_pattern(_key: str, value: Any, error: Mapping[str, Any], _model: Model | None) -> str:
    pattern = error["ctx"]["pattern"]
    return f"{shown(value)} will not do; {_PATTERN_WORDS.get(pattern, f'write what matches {pattern}')}"


def _wanted_kind(words: str) -> Callable[[str, Any, Mapping[str, Any], Model | None], str]:
    def speak(_key: str, value: Any, _error: Mapping[str, Any], _model: Model | None) -> str:
        return f"{shown(value)} stands where {words}"

    return speak


_BLOCK = _wanted_kind("a block of keys is expected; write `key: value` lines, indented below it")
_SPEAKERS: Mapping[str, Callable[[str, Any, Mapping[str, Any], Model | None], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "float_type": _no_number,
    "int_type": _no_whole_number,
    "int_from_float": _no_whole_number,
    "finite_number": _not_finite,
    "datetime_from_date_parsing": _no_instant,
    "datetime_parsing": _no_instant,
    "datetime_type": _no_instant,
    "literal_error": _no_choice,
    "enum": _no_choice,
    "union_tag_invalid": _no_kind,
    "union_tag_not_found": _no_kind,
    "string_pattern_mismatch": _no_pattern,
    "string_type": _wanted_kind("text is expected; put text there, in quotes if it looks like a number"),
    "bool_type": _wanted_kind("a switch is expected; write true or false"),
    "tuple_type": _wanted_kind("a list is expected; write `[a, b]`"),
    "model_type": _BLOCK,
    "model_attributes_type": _BLOCK,
    "dict_type": _BLOCK,
}
