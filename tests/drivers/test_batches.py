"""Laws of coalescing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.batches import PROTOCOL_LIMIT, Block, Span, coalesce
from drivers.modbus.registers import Table


@st.composite
def some_spans(draw: st.DrawFn) -> list[Span]:
    count = draw(st.integers(1, 12))
    tables = st.sampled_from(list(Table))
    return [Span(draw(tables), draw(st.integers(0, 400)), draw(st.integers(1, 40)), (f"r{i}",)) for i in range(count)]


@given(some_spans(), st.integers(40, 200), st.integers(0, 60))
def test_every_span_arrives_whole_in_one_block(spans: list[Span], max_registers: int, max_gap: int) -> None:
    blocks = coalesce(spans, max_registers=max_registers, max_gap=max_gap)
    served = [span for block in blocks for span in block.spans]
    assert sorted(served, key=repr) == sorted(spans, key=repr)
    for block in blocks:
        assert block.count <= min(max_registers, PROTOCOL_LIMIT)
        for span in block.spans:
            assert span.table is block.table
            assert block.address <= span.address
            assert span.end <= block.address + block.count


@given(some_spans())
def test_halving_loses_nothing_and_ends(spans: list[Span]) -> None:
    pending = list(coalesce(spans, max_registers=125, max_gap=60))
    whole: list[Span] = []
    while pending:
        block = pending.pop()
        halves = block.halves()
        if halves is None:
            whole += block.spans
        else:
            assert all(0 < len(half.spans) < len(block.spans) for half in halves)
            pending += halves
    assert sorted(whole, key=repr) == sorted(spans, key=repr)


def test_a_gap_worth_a_request_is_not_bridged() -> None:
    spans = [Span(Table.HOLDING, 0, 2, ("a",)), Span(Table.HOLDING, 10, 2, ("b",)), Span(Table.HOLDING, 40, 2, ("c",))]
    first, second = coalesce(spans, max_registers=125, max_gap=8)
    assert (first.address, first.count, second.address, second.count) == (0, 12, 40, 2)
    assert coalesce(spans, max_registers=125, max_gap=28) == (Block.around(spans),)
