"""A bill as it is printed: each line rounded to the cent, the tax on the sum of the lines that bear it.

    line = amount to the cent, a half away from zero
    tax[r] = r * sum of the lines that bear the share r, to the cent likewise
    total = sum of the lines + sum of the taxes

The lines are those of `optimization.bill`; nothing is priced here. A total of rounded lines may differ by a few cents
from `Bill.cents`, whose total is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from optimization.bill import Bill, Item

CENT = Decimal("0.01")
NOISE_DECIMALS = 9
"""A float sum is exact to so many decimals; beyond them a half is no half any more."""


@dataclass(frozen=True, slots=True)
class Invoice:
    """What is to pay, to the cent.

    Args:
        lines: each item with its amount, before tax where it bears one [currency].
        taxes: by the share of tax [currency].
    """

    lines: tuple[tuple[Item, Decimal], ...]
    taxes: Mapping[float, Decimal]

    @property
    def total(self) -> Decimal:
        """What is to pay [currency]."""
        return sum((amount for _, amount in self.lines), Decimal(0)) + sum(self.taxes.values(), Decimal(0))


def invoice(bill: Bill) -> Invoice:
    """Round a bill as it is printed."""
    lines = tuple((item, _cents(item.amount)) for item in bill.items)
    borne: dict[float, Decimal] = {}
    for item, amount in lines:
        if item.vat:
            borne[item.vat] = borne.get(item.vat, Decimal(0)) + amount
    return Invoice(lines, {share: _half_up(amount * Decimal(repr(share))) for share, amount in borne.items()})


def _cents(amount: float) -> Decimal:
    return _half_up(Decimal(repr(round(amount, NOISE_DECIMALS))))


def _half_up(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
