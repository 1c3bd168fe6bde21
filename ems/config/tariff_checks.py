"""What must hold between a site file and its tariff: what the one prices, the other has to know."""

from __future__ import annotations

from collections.abc import Iterator

from ems.config.parts import Complaint, Parts
from optimization.tariff import Tariff


def check_tariff(parts: Parts, tariff: Tariff | None) -> Iterator[Complaint]:
    """Check the site file against a tariff that could be read."""
    if tariff is None:
        return
    feeds = parts.raw.get("feeds")
    has_bought = isinstance(feeds, dict) and "bought" in feeds
    if tariff.imbalance is not None and isinstance(feeds, dict) and not has_bought:
        words = "names no `bought`, from which the tariff's `imbalance` counts; add `bought: {source: ...}`"
        yield ("feeds",), words
    if tariff.imbalance is None and has_bought:
        words = "is what deviations count from, and the tariff has no `imbalance`; add it there, or leave this out"
        yield ("feeds", "bought"), words
    if tariff.reactive is None:
        return
    for name, _ in parts.named("assets"):
        if ("assets", name, "inverter") in parts.sections:
            words = "follows curves of its own, which the tariff's `reactive` does not know yet; leave one of both out"
            yield ("assets", name, "inverter"), words
