"""Reads a scenario file: all that is wrong with it in one run, with line and column, or a `Scenario`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ems.config.documents import Document, Keys, read_document
from ems.config.errors import SiteProblem
from ems.config.wording import did_you_mean, say, shown
from hil.measurables import MEASURABLES
from hil.plant.market import LEVELS
from hil.scenario import Arm, Limit, Scenario, ScenarioError

FOLDER = Path(__file__).parent / "scenarios"
GENERAL, SITES = "general", "sites"
_OWN = ("name", "sites")


def scenario_names() -> tuple[str, ...]:
    """Name the scenarios that come with the pretend world."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_scenario(name_or_path: str, site_id: str | None = None) -> Scenario:
    """Read a scenario by name or from a file.

    Args:
        name_or_path: a name, or a file that ends in `.yaml`.
        site_id: whose figures to take: the keys below `sites.<id>` of the file stand in place of the general ones.

    Raises:
        ScenarioError: with everything that is wrong, each as `file:line:column  thing: what; what to write`.
    """
    path = _path(name_or_path)
    if not path.is_file():
        raise ScenarioError(f"there is no scenario {name_or_path!r}: choose one of {', '.join(scenario_names())}")
    document = read_document(path)
    problems = list(document.problems)
    found: dict[str, Scenario] = {}
    if document.root is not None:
        problems += [_problem(document, keys, words) for keys, words in _no_blocks(document.root.value)]
        for variant, raw in _variants(document.root.value):
            complaints = list(_understood(raw, path.stem, variant, found))
            problems += [_problem(document, _where(document, variant, keys), words) for keys, words in complaints]
    if problems:
        raise ScenarioError("\n".join(map(str, sorted(set(problems)))))
    return found.get(site_id or GENERAL, found[GENERAL])


def wrong_at(keys: Keys, words: str, name_or_path: str, site_id: str) -> ScenarioError:
    """Make the error of what only the site shows to be wrong, with its place in the scenario's file."""
    document = read_document(_path(name_or_path))
    return ScenarioError(str(_problem(document, _where(document, site_id, keys), words)))


def scenario_hash(scenario: Scenario) -> str:
    """Hash what a scenario means: comments and the order of keys do not count."""
    canonical = json.dumps(scenario.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _path(name_or_path: str) -> Path:
    return Path(name_or_path) if name_or_path.endswith(".yaml") else FOLDER / f"{name_or_path}.yaml"


def _variants(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the general scenario and that of each site that has keys of its own."""
    general = {key: value for key, value in raw.items() if key != SITES}
    yield GENERAL, general
    sites = raw.get(SITES)
    for site, special in sites.items() if isinstance(sites, dict) else ():
        yield site, {**general, **(special if isinstance(special, dict) else {})}


def _no_blocks(raw: Mapping[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Say where the keys of sites should stand and something else does."""
    sites = raw.get(SITES, {})
    blocks: dict[Keys, Any] = {(SITES,): sites}
    blocks |= {(SITES, site): special for site, special in sites.items()} if isinstance(sites, dict) else {}
    for keys, block in blocks.items():
        if not isinstance(block, dict):
            yield keys, say({"type": "dict_type", "input": block, "loc": keys}, None)


def _understood(
    raw: Mapping[str, Any], name: str, variant: str, found: dict[str, Scenario]
) -> Iterator[tuple[Keys, str]]:
    """Read one variant into `found`, or say what is wrong with it."""
    try:
        scenario = Scenario.model_validate({"name": name, **{k: v for k, v in raw.items() if k not in _OWN}})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            yield tuple(one["loc"]), say(one, _model_at(tuple(one["loc"])[:-1]))
        return
    found[variant] = scenario
    if scenario.price not in LEVELS:
        yield ("price",), f"{scenario.price!r} is no kind of price; write one of {', '.join(LEVELS)}"
    if Arm.PLAN not in scenario.arms:
        yield ("arms",), "the plan's arm is missing, which is what is judged; add `plan`"
    for number, fault in enumerate(scenario.faults):
        for key, words in fault.complaints():
            yield ("faults", number, key), words
    for key in ("criteria", "first_day"):
        for measurable, limit in (getattr(scenario, key) or {}).items():
            for words in _wrong_limit(measurable, limit, scenario):
                yield (key, measurable), words


def _wrong_limit(name: str, limit: Limit | None, scenario: Scenario) -> Iterator[str]:
    for each in filter(None, (name, limit.times if limit else None)):
        measurable = MEASURABLES.get(each)
        if measurable is None:
            known = ", ".join(MEASURABLES)
            yield f"there is no measurable {shown(each)}{did_you_mean(each, MEASURABLES)}; known are {known}"
        elif limit is not None and (missing := measurable.arms - set(scenario.arms)):
            yield f"{each} needs the arm {', '.join(sorted(missing))}, which does not run; add it to `arms:`"
    if limit is not None and (limit.at_most is None) == (limit.at_least is None):
        yield "a criterion has one limit; write `at_most:` or `at_least:` with a number"


def _where(document: Document, variant: str, keys: Keys) -> Keys:
    """Find where a key of a variant stands: below its site, or among the general ones."""
    own = document.root.children.get(SITES) if document.root else None
    special = own.children.get(variant) if own and variant != GENERAL else None
    return (SITES, variant, *keys) if special is not None and keys[:1] and keys[0] in special.children else keys


def _problem(document: Document, keys: Keys, words: str) -> SiteProblem:
    return SiteProblem(document.name, *document.position(keys), ".".join(map(str, keys)), words)


def _model_at(keys: Keys) -> type[BaseModel] | None:
    """Find the part of the schema at a path; None where it is no block of known keys."""
    found: Any = Scenario
    for key in keys:
        if isinstance(key, int):
            continue
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return None
        field = found.model_fields.get(key)
        found = _inner(field.annotation) if field is not None else Limit if found is Limit else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _inner(annotation: Any) -> type[BaseModel] | None:
    """Find the model inside `tuple[Model, ...]`, `Model | None` or the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_inner(one) for one in getattr(annotation, "__args__", ()))
    return next((one for one in inner if one is not None), None)
