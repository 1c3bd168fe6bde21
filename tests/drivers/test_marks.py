"""F3: each answer of a device with a map of our own bears that map's mark, so that any other words are no answer."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from maker_images import MAKERS
from raw_modbus_server import HOLDING, INPUT

from drivers.modbus.batches import Block, coalesce
from drivers.modbus.profile import FOLDER, modbus_profile, modbus_profiles
from drivers.modbus.registers import Table, Unusable
from drivers.modbus.scan import Placed, decode_block, spans


def told_of(profile: str) -> str:
    """Give the text of a map in one line."""
    return " ".join((FOLDER / f"{profile}.yaml").read_text(encoding="utf-8").replace("\n#", "").split())


OURS = [profile for profile in modbus_profiles() if "The map is our own" in told_of(profile)]


class Map:
    """A map, the blocks in which it is read, and the image of a device that keeps it."""

    def __init__(self, name: str) -> None:
        profile = modbus_profile(name)
        limit = profile.max_registers
        self.placed = {each: Placed(register, register.at) for each, register in profile.registers.items()}
        self.blocks = coalesce(spans(self.placed, limit), max_registers=limit, max_gap=profile.max_gap)
        self.image = MAKERS[name]()

    def words(self, block: Block, image: dict[tuple[int, int], int]) -> list[int]:
        """Give what a device with such an image answers, 0 where it has no register."""
        table = HOLDING if block.table is Table.HOLDING else INPUT
        return [image.get((table, block.address + i), 0) for i in range(block.count)]

    def believed(self, block: Block, words: list[int]) -> set[str]:
        """Name the registers of an answer that are taken for numbers."""
        return {name for name, raw in decode_block(block, words, self.placed).items() if not isinstance(raw, Unusable)}


def test_the_maps_of_our_own_are_known() -> None:
    assert {"limit_gateway", "genset", "boiler", "electric_heater", "tank_sensors", "pipe_pump", "deferrable_load",
            "bidirectional_charger", "hybrid_inverter"} <= set(OURS)  # fmt: skip


@pytest.mark.parametrize("name", OURS)
def test_f03_any_words_are_no_answer(name: str) -> None:
    own, rng = Map(name), Random(7)
    for block in own.blocks:
        assert len(own.believed(block, own.words(block, own.image))) == sum(len(span.names) for span in block.spans)
        for _ in range(3000):
            assert own.believed(block, [rng.randrange(1 << 16) for _ in range(block.count)]) == set()


@pytest.mark.parametrize(("mine", "other"), list(permutations(OURS, 2)))
def test_f03_nobody_is_taken_for_another(mine: str, other: str) -> None:
    """As where two gateways change their addresses."""
    own, image = Map(mine), Map(other).image
    assert all(own.believed(block, own.words(block, image)) == set() for block in own.blocks)


@pytest.mark.parametrize("name", OURS)
def test_a_later_minor_version_is_the_same_map(name: str) -> None:
    own = Map(name)
    for block in own.blocks:
        words = own.words(block, own.image)
        at = next(
            place.address - block.address
            for place in own.placed.values()
            if place.register.witness and place.register.table is block.table
        )
        for version, is_ours in ((0x00FF, False), (0x0100, True), (0x01FF, True), (0x0200, False)):
            words[at + 1] = version
            assert bool(own.believed(block, words)) is is_ours
