"""What a site file may say of power that is kept or wanted at the connection: reserve, envelopes, demand response."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ems.config.strict import Finite, HourOfDay, Id, NotNegative, Positive, Strict, Whole

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


class Hours(Strict):
    """Hours of the local calendar, on given days of the week (0 is Monday); past midnight where they end earlier."""

    from_h: HourOfDay = 0.0
    to_h: HourOfDay = 24.0
    days: tuple[Annotated[Whole, Field(ge=0, le=6)], ...] = EVERY_DAY


class ReserveBand(Hours):
    """Power that `members` keep ready: `up_kw` less, `down_kw` more into the site, each for `hold_s` [s] once called.

    A kWh that is not held costs `missing_per_kwh` in plans for every hour [currency/kWh].
    """

    members: tuple[Id, ...]
    up_kw: NotNegative = 0.0
    down_kw: NotNegative = 0.0
    hold_s: Positive
    missing_per_kwh: NotNegative


class PowerEnvelope(Hours):
    """Between which powers somebody outside wants the connection in these hours, export being negative.

    A kWh outside of it costs `price_per_kwh` in plans, besides its own price [currency/kWh].
    """

    low_kw: Finite | None = None
    high_kw: Finite | None = None
    price_per_kwh: Positive


class ResponseEvent(Strict):
    """A time from `starts_at` to `ends_at` in which the connection takes `promised_kw` less than its baseline.

    Of each kWh less, up to the promise, `reward_per_kwh` is paid; each kWh that is missing of it loses that and costs
    `penalty_per_kwh` [currency/kWh]. Without `baseline_kw` the baseline is the mean of at most `baseline_days` days
    before. Instants are local where they name no offset.
    """

    starts_at: str
    ends_at: str
    promised_kw: Positive
    reward_per_kwh: NotNegative = 0.0
    penalty_per_kwh: NotNegative = 0.0
    baseline_kw: Finite | None = None
    baseline_days: Annotated[Whole, Field(ge=3, le=10)] = 10
