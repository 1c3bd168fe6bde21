"""What each key of a site file means, by part of the schema: the words of docs/site-file.md."""

from asset_words import ASSET_WORDS

WORDS: dict[str, dict[str, str]] = {
    "SiteFile": {
        "schema_version": "version of this schema",
        "site": "who the site is",
        "control": "the fast loop",
        "planning": "the slow loop, and the prices of what is elastic",
        "grid": "the feeder and its limits",
        "grid_operator": "limits that the grid operator may set at the connection; without it there are none",
        "island": "the switch at the connection, and the battery that holds the site while it is open; without it the "
        "site has no island",
        "tariff": "file name of the tariff in the site folder, see [the tariff](engineer.md#the-tariff)",
        "feeds": "where prices, carbon intensity and weather are published",
        "series": "stored past that came with the site",
        "audit": "what outsiders need to trust the journal",
        "retention": "how long what is kept of the history, see [the history](auditor.md#the-history)",
        "zones": "parts of the district with a use, a privacy class and a comfort band of their own, by id",
        "devices": "every device on its wire, by id",
        "assets": "every physical thing that takes or gives power, and what meters or limits it, by id",
        "groups": "assets behind one fuse or cable of their own, by id",
        "reserves": "power that is kept ready, by id; see [bands and envelopes](engineer.md#bands-and-envelopes)",
        "envelopes": "between which powers somebody outside wants the connection, by id; see [bands and envelopes]"
        "(engineer.md#bands-and-envelopes)",
        "demand_response": "times in which less import is promised, by id; see [demand response]"
        "(engineer.md#demand-response)",
        "forecasts": "by which methods single loads are foreseen, by id of a `metered_load` or a `heat_load`, or "
        "`load` for all unmetered loads together",
        "connections": "grid connections beside that of `grid`, by id; see [several grid connections]"
        "(engineer.md#several-grid-connections)",
    },
    "GridConnection": {
        "import_limit_kw": "most import at its meter",
        "export_limit_kw": "most export at its meter",
        "tariff": "file name of its tariff in the site folder; null for that of the site",
    },
    "ReserveBand": {
        "from_h": "local hour at which it begins, in quarters",
        "to_h": "local hour at which it ends, in quarters; past midnight where it is less than the begin",
        "days": "days of the week on which it begins, 0 is Monday",
        "members": "ids of the batteries, plants, turbines, generating sets and charge points that keep it ready",
        "up_kw": "by how much less the site must be able to take, or give more",
        "down_kw": "by how much more the site must be able to take, or give less",
        "hold_s": "for how long once it is called",
        "missing_per_kwh": "what a kWh that is not held costs in plans, for every hour [currency/kWh]",
    },
    "PowerEnvelope": {
        "from_h": "local hour at which it begins, in quarters",
        "to_h": "local hour at which it ends, in quarters; past midnight where it is less than the begin",
        "days": "days of the week on which it begins, 0 is Monday",
        "low_kw": "least import that is wanted, negative for export; null for the export limit",
        "high_kw": "most import that is wanted; null for the import limit",
        "price_per_kwh": "what a kWh outside of it costs in plans, besides its own price [currency/kWh]",
    },
    "ResponseEvent": {
        "starts_at": "when it begins, such as 2026-01-15T17:00; local where it names no offset",
        "ends_at": "when it ends, likewise",
        "promised_kw": "by how much less than its baseline the connection takes then",
        "reward_per_kwh": "what is paid for a kWh less, up to the promise [currency/kWh]",
        "penalty_per_kwh": "what a kWh that is missing of the promise costs besides [currency/kWh]",
        "baseline_kw": "net import that would be without it, negative for export; null for the mean of days before",
        "baseline_days": "of how many days before at most, where `baseline_kw` is null",
    },
    "Group": {
        "members": "ids of the assets; one may be in several groups",
        "limit_kw": "greatest magnitude of their power together",
    },
    "Identity": {
        "id": "names the site in commands, and its state directory",
        "name": "name for people",
        "timezone": "IANA name, for example `Europe/Berlin`; local time serves days, comfort hours and the page",
        "currency": "of the tariff and of every cost",
        "latitude_deg": "degrees north of the equator, negative for south; needed where a plant has `planes`",
        "longitude_deg": "degrees east of Greenwich, negative for west; likewise",
        "altitude_m": "height above the sea",
    },
    "Control": {
        "cycle_s": "period of the control cycle",
        "simulated_cycle_s": "the same on an accelerated clock: demo and benches",
        "stale_after_s": "past this age nothing is steered by a value",
        "lease_s": "a command holds so long without renewal; also the watchdog time that devices are given",
        "release_all_to_local": "every device is left to its own control",
    },
    "Planning": {
        "every_s": "period of the slow loop",
        "step_s": "length of a slot; slots stand on multiples of it in UTC",
        "horizon_h": "how far a plan looks",
        "coarse_after_h": "from so far ahead on slots are `coarse_step_s` long; null for `step_s` all along",
        "coarse_step_s": "length of a slot far ahead: a multiple of `step_s` that divides an hour, or whole hours",
        "max_plan_age_s": "a plan older than this is not followed any more: the rules steer",
        "solve_deadline_s": "the solver process is replaced when an answer takes longer; at most `every_s`",
        "carbon_price_per_kg": "what a kilogram of CO2 costs in the objective and in `cost` [currency/kg]",
        "carbon_budget_kg_per_week": "emissions that a local week from Monday on should stay below; null for none [kg]",
        "carbon_budget_price_per_kg": "what a kilogram beyond that budget costs in the objective [currency/kg]",
        "ev_shortfall_per_kwh": "what a kWh costs that a car misses at departure [currency/kWh]",
        "discomfort_per_kh": "what a kelvin-hour outside the comfort band costs [currency/Kh]",
        "comfort_margin_k": "how far a plan stays inside the comfort bands, as no model is exact [K]",
        "uncertainty": "plans know of several scenarios; null for what is foreseen alone; see [plans for several "
        "scenarios](engineer.md#plans-for-several-scenarios)",
        "bisections": "solves more, at most, that look for a plan verified by AC power flow where three rounds have "
        "found none within the limits, or one a trifle beyond them",
        "forecast_methods": "by which methods loads may be foreseen; see [forecasts](engineer.md#forecasts)",
    },
    "LoadForecast": {
        "methods": "by which methods this load may be foreseen, in place of `planning.forecast_methods`; one alone "
        "pins it",
    },
    "Uncertainty": {
        "scenarios": "of loads and sun, with what is foreseen",
        "risk_weight": "what the mean cost of the worst part counts against the expected cost of all",
        "tail_pct": "how much of the probability the worst part is",
    },
    "Grid": {
        "file": "pandapower grid (JSON) in the site folder",
        "import_limit_kw": "most power that may be taken at the grid connection",
        "export_limit_kw": "most power that may be given there",
        "voltage_min_pu": "least bus voltage",
        "voltage_max_pu": "greatest bus voltage",
        "loading_max_pct": "greatest loading of a line or transformer",
        "planning_margin_pct": "share of every limit that a plan keeps free for what happens before the next plan",
        "outages": "failures that every plan has to survive (N-1), by id; see [plans that survive an "
        "outage](engineer.md#plans-that-survive-an-outage)",
        "tap_changers": "transformers whose ratio plans move in whole steps, by id; see [taps and "
        "capacitors](engineer.md#taps-and-capacitors)",
        "capacitor_banks": "capacitors that plans switch in whole steps, by id; see [taps and "
        "capacitors](engineer.md#taps-and-capacitors)",
        "per_phase": "whether every phase keeps the limits by itself; null for so where an asset has a `phase`; see "
        "[phase by phase](engineer.md#phase-by-phase)",
    },
    "Outage": {
        "out": "names of the lines or transformers that fail; one without a name of its own is `line 3` or `trafo 0`",
        "closed": "names of the switches that are closed then; one without a name of its own is `switch 3`",
        "voltage_min_pu": "least bus voltage until the repair; null for that of every day",
        "voltage_max_pu": "greatest bus voltage until the repair; null for that of every day",
        "loading_max_pct": "greatest loading until the repair; null for that of every day",
    },
    "TapChanger": {
        "trafo": "name of its transformer in the grid file, or `trafo 0`; `tap_pos` there says where it stands",
        "least": "its lowest position; null for `tap_min` of the grid file",
        "most": "its highest position; null for `tap_max` of the grid file",
        "neutral": "the position of the rated ratio; null for `tap_neutral` of the grid file, else 0",
        "step_pct": "what a step adds to the ratio at the tapped side; null for `tap_step_percent` of the grid file",
        "side": "the tapped side; null for `tap_side` of the grid file, else `hv`, where a step up lowers the voltage "
        "below",
        "switching_cost": "of one step, wear included [currency]",
        "dead_time_s": "a position that was taken is held so long at the least",
        "switches_per_day": "steps in a local day at most, up and down together; null for as many as are worth it",
    },
    "CapacitorBank": {
        "bus": "name of its bus in the grid file",
        "step_kvar": "what one step gives at 1 pu [kvar]",
        "steps": "how many steps it has",
        "on": "how many of them are on now",
        "switching_cost": "of one step, wear included [currency]",
        "dead_time_s": "a number of steps is held so long at the least",
        "switches_per_day": "steps in a local day at most, on and off together; null for as many as are worth it",
    },
    "Island": {
        "device": "the device that reads the connection's switch",
        "role": "of its profile: 1 while the connection is open",
        "forming": "the battery that then holds the bus by itself; nobody commands it meanwhile",
        "survives": "for how long plans provide for an island; null for not at all",
    },
    "Survives": {
        "hold_s": "for how long `forming` shall carry the loads, whenever the connection opens",
        "missing_per_kwh": "what a kWh that is missing for that costs in plans, each hour [currency/kWh]",
        "pickup_factor": "what the loads take at first, as a multiple of what is foreseen of them",
        "pickup_s": "for how long that lasts",
        "sun_share": "share of the foreseen sun and wind that is counted on, 0..1",
        "loads": "ids of what has to be carried; null for all loads that nobody commands",
        "sets": "ids of generating sets that go on beside `forming`; those that run are spinning reserve",
    },
    "GridOperator": {
        "failsafe_import_kw": "import limit that holds while the operator is lost; null takes no import limits",
        "failsafe_export_kw": "export limit that holds while the operator is lost; null takes no export limits",
        "api": "limits by HTTP, through the process `ems limits serve`",
        "registers": "limits in registers of a device, by id",
        "inputs": "limits by digital inputs, by id",
    },
    "LimitApi": {
        "host": "address to listen at",
        "port": "TCP port",
        "certificate": "file with the certificate (PEM); needed where other machines can reach `host`",
        "key": "file with the private key of the certificate (PEM)",
    },
    "LimitRegisters": {
        "device": "id of the device that holds them; it is only read",
        "heartbeat": "role whose value changes at least every 60 s while the operator is there",
        "import_limit": "role of the import limit, in kW",
        "export_limit": "role of the export limit, in kW",
    },
    "LimitInput": {
        "device": "id of the device that reads the input",
        "role": "role of the input; the limits hold while it reads 1",
        "import_limit_kw": "import limit that then holds",
        "export_limit_kw": "export limit that then holds",
    },
    "Feed": {
        "source": "file in the site folder, or http address; see [feeds](engineer.md#feeds)",
        "max_age_h": "an issue older than this is not used",
    },
    "Feeds": {
        "price": "published energy price [currency/kWh]",
        "carbon": "carbon intensity of grid energy [kg/kWh]",
        "weather": "outdoor temperature [degC], irradiance on the PV plane or, where plants have `planes`, on the "
        "horizontal [W/m2], and for wind turbines the wind at 10 m [m/s]; null where nothing needs it",
        "bought": "net import that was bought ahead [kW], which the tariff's `imbalance` counts from",
    },
    "Series": {
        "load": "file in `series/` with the stored load of earlier days: `total_kw`, or a column `<id>_kw` a load",
        "ev_sessions": "file in `series/` with earlier charging sessions; `park` or `asset` says where",
        "season": "file in `series/` with a past or typical year for [stores that last for weeks]"
        "(engineer.md#stores-that-last-for-weeks): `start` and any of `price`, `carbon`, `outdoor_c`, "
        "`irradiance_w_m2` and `wind_m_s`, in the units of the feeds",
        "history": "folder of the site with recorded measurements, one Parquet file a month",
    },
    "Audit": {
        "deliver_to": "folder, absolute or in the site folder, for copies of signed checkpoints; null for none; see "
        "[the chain of audit](auditor.md#the-chain-of-audit)",
        "mail": "mails every checkpoint as well; null for none",
        "timestamp": "has every checkpoint time-stamped as well; null for none",
    },
    "Retention": {
        "raw_days": "every scan is kept for so many days",
        "minute_days": "means and the like over a minute are kept for so many days",
        "quarter_hour_days": "means and the like over a quarter-hour are kept for so many days",
        "cap_gb": "all of it takes at most so much, the oldest scans go first [GB]",
    },
    "CheckpointMail": {
        "to": "address to which checkpoints go, outside of the site",
        "sender": "address from which they come",
        "host": "mail server that takes them",
        "port": "its TCP port",
        "security": "TLS from the first byte, or after STARTTLS; never without",
        "user": "name at the mail server; its password is the secret `audit_mail_password`, see "
        "[secrets](operator.md#secrets); null for none",
        "root": "PEM file of the site folder with the authority behind the server's certificate; null for those that "
        "the machine trusts",
    },
    "TimeStamping": {
        "url": "address of a time-stamping authority (RFC 3161), asked by HTTP POST",
        "root": "PEM file of the site folder with the root certificate of that authority, and those between",
    },
    "Device": {
        "protocol": "wire; `simulated` is for tests",
        "profile": "register or object map, see [profiles](engineer.md#profiles)",
        "host": "address; of the local interface's network for BACnet, of the router for a device behind one",
        "port": "TCP port (Modbus) or UDP port (BACnet)",
        "unit": "Modbus unit id",
        "device_instance": "BACnet device instance; needed for `bacnet`",
        "bacnet_network": "network of a BACnet device behind the router at `host` and `port`",
        "bacnet_mac": "its address on that network",
        "priority": "slot of the BACnet priority array that we hold",
        "timeout_s": "longest wait for one answer",
        "mode": "`monitor` reads, `advise` decides and does not write, `control` writes",
        "lockout": "maintenance: nothing is written",
        "roles": "role: point of the profile, where the profile's own choice does not suit",
        "safe": "commanded role: its safe value in the point's unit; null gives the point back to the device",
        "writes_per_day": "its registers wear: each command point is written at most so often within 24 h, see"
        " [what wears](engineer.md#what-wears); null for what the profile says, mostly nothing",
    },
    "ModulePlane": {
        "tilt_deg": "from the horizontal: 0 lies flat, 90 is a facade",
        "azimuth_deg": "which way it faces, degrees east of north: 90 is east, 180 south, 270 west",
        "share": "its share of `module_kw`",
    },
    "DistrictZone": {
        "use": "what it is used for",
        "privacy": "who may see single values: everybody, the staff, or nobody but the controller",
        "comfort": "comfort band of its heat pumps that have none of their own",
    },
    "Comfort": {
        "low_c": "floor outside occupied hours",
        "high_c": "ceiling outside occupied hours",
        "occupied_low_c": "floor in occupied hours",
        "occupied_high_c": "ceiling in occupied hours",
        "occupied_from_h": "first occupied hour, local",
        "occupied_to_h": "end of the occupied hours, local",
        "occupied_days": "occupied days of the week, 0 is Monday",
    },
    **ASSET_WORDS,
}
