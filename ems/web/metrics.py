"""The core's figures in the text format of Prometheus, made of its newest live snapshot.

Law 1: what is not known is not there; while the core is silent only that is told.
Law 2: labels name devices, outcomes and kinds, never an asset, a person or a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ems.health import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(full: Mapping[str, Any]) -> bytes:
    """Write the figures.

    Args:
        full: what the page knows, see `Hub.full`.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(full))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, full: Mapping[str, Any]) -> None:
        self._full = full

    def collect(self) -> Iterator[Metric]:
        link, snapshot = self._full["link"], self._full["snapshot"]
        yield InfoMetricFamily(
            "ems", "What runs.", {"version": version("district-ems"), "site": self._full["site"]["id"]}
        )
        yield GaugeMetricFamily("ems_core_up", "Whether the core is heard.", float(bool(link["live"])))
        yield GaugeMetricFamily("ems_core_silent_seconds", "Since when the core was not heard.", link["silent_s"])
        if link["live"] and snapshot is not None and "counters" in snapshot:
            yield from _health(snapshot)
            yield from _control(snapshot["counters"])
            yield from _plans(snapshot)
            yield from _vitals(snapshot["vitals"])


def _health(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    state = GaugeMetricFamily("ems_health_state", "1 for the state in which the core is.", labels=["state"])
    for one in State:
        state.add_metric([one.value], float(snapshot["health"]["state"] == one.value))
    yield state
    kinds = Counter(str(alarm["key"]).partition(":")[0] for alarm in snapshot["alarms"])
    alarms = GaugeMetricFamily("ems_alarms", "Alarms in force, by the kind of their key.", labels=["kind"])
    for kind, count in sorted(kinds.items()):
        alarms.add_metric([kind], count)
    yield alarms
    up = GaugeMetricFamily("ems_device_up", "Whether a device can be read.", labels=["device"])
    for name, device in snapshot["devices"].items():
        up.add_metric([name], float(device["online"]))
    yield up


def _control(counters: Mapping[str, Any]) -> Iterator[Metric]:
    yield CounterMetricFamily("ems_cycles", "Control cycles that decided.", counters["cycles"])
    missed = counters["missed_deadlines"]
    yield CounterMetricFamily("ems_missed_deadlines", "Control cycles that were due and not decided in time.", missed)
    setpoints = CounterMetricFamily("ems_setpoints", "Changed setpoints, by what became of them.", labels=["outcome"])
    for outcome in ("issued", "verified", "refused", "unknown"):
        setpoints.add_metric([outcome], counters["setpoints"][outcome])
    yield setpoints


def _plans(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    vitals, plan = snapshot["vitals"], snapshot["plan"]
    plans = CounterMetricFamily("ems_plans", "Planning cycles, by what became of them.", labels=["outcome"])
    for outcome, count in vitals["plans"].items():
        plans.add_metric([outcome], count)
    yield plans
    if plan is None:
        return
    yield GaugeMetricFamily("ems_plan_age_seconds", "Age of the plan in force.", plan["age_s"])
    if "wall_s" in vitals["solve"]:
        yield GaugeMetricFamily("ems_solver_seconds", "How long its solver took.", vitals["solve"]["wall_s"])
    if "build_wall_s" in vitals["solve"]:
        took_s = vitals["solve"]["build_wall_s"]
        yield GaugeMetricFamily("ems_plan_build_seconds", "How long building its programme took.", took_s)
    verdict = GaugeMetricFamily(
        "ems_plan", "1 for the plan in force, by its solve and its AC check.", labels=["status", "ac"]
    )
    verdict.add_metric([str(vitals["solve"].get("status", "unknown")), str(plan["ac"])], 1.0)
    yield verdict


def _vitals(vitals: Mapping[str, Any]) -> Iterator[Metric]:
    reads = CounterMetricFamily("ems_device_reads", "How often a device was read.", labels=["device"])
    failed = CounterMetricFamily("ems_device_read_failures", "How often nothing good came.", labels=["device"])
    took = GaugeMetricFamily("ems_device_read_seconds", "How long the newest reading took.", labels=["device"])
    for device, one in vitals["reads"].items():
        reads.add_metric([device], one["total"])
        failed.add_metric([device], one["failed"])
        took.add_metric([device], one["newest_s"])
    yield from (reads, failed, took)
    yield from _waiting(vitals)
    if vitals["disk_free_bytes"] is not None:
        yield GaugeMetricFamily("ems_disk_free_bytes", "Room for the state directory.", vitals["disk_free_bytes"])
    if vitals["loop"] is not None:
        yield from _loop(vitals["loop"])


def _waiting(vitals: Mapping[str, Any]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("ems_store_waiting", "Rows that wait to be written.", labels=["store"])
    unwritten = GaugeMetricFamily("ems_store_unwritten", "Rows that the disk refused so far.", labels=["store"])
    lost = CounterMetricFamily("ems_store_lost", "Rows that memory could not keep.", labels=["store"])
    for store in ("journal", "history"):
        waiting.add_metric([store], vitals[store]["waiting"])
        unwritten.add_metric([store], vitals[store]["unwritten"])
        lost.add_metric([store], vitals[store]["lost"])
    yield from (waiting, unwritten, lost)


def _loop(loop: Mapping[str, Any]) -> Iterator[Metric]:
    cumulative, buckets = 0, []
    for bound, count in zip([*map(str, loop["bounds_s"]), "+Inf"], loop["counts"], strict=True):
        cumulative += count
        buckets.append((bound, float(cumulative)))
    yield HistogramMetricFamily(
        "ems_loop_lag_seconds", "How late the core's event loop woke up.", buckets=buckets, sum_value=loop["sum_s"]
    )
    yield CounterMetricFamily("ems_loop_stalls", "How often it stood still for more than a second.", loop["stalls"])
