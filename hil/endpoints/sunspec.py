"""SunSpec register images: layouts of the information models, not-implemented values, and a writable image.

A layout lists a model's points in order as `name:type`; a bare name continues the type before it. Types: u uint16,
i int16, U uint32, I int32, a acc32, f scale factor, e enum16, b bitfield16, B bitfield32, p pad, sN string of N
registers. Source: SunSpec Information Model Reference and the model definitions of the SunSpec Alliance (names,
types and order of points; facts only).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hil.endpoints.modbus_server import Fault, ModbusFault

BASE = 40000
MARKER = b"SunS"
END = b"\xff\xff\x00\x00"

LAYOUTS = {
    1: "Mn:s16 Md Opt:s8 Vr SN:s16 DA:u Pad:p",
    103: """A:u AphA AphB AphC A_SF:f PPVphAB:u PPVphBC PPVphCA PhVphA PhVphB PhVphC V_SF:f W:i W_SF:f Hz:u Hz_SF:f
        VA:i VA_SF:f VAr:i VAr_SF:f PF:i PF_SF:f WH:a WH_SF:f DCA:u DCA_SF:f DCV:u DCV_SF:f DCW:i DCW_SF:f
        TmpCab:i TmpSnk TmpTrns TmpOt Tmp_SF:f St:e StVnd Evt1:B Evt2 EvtVnd1 EvtVnd2 EvtVnd3 EvtVnd4""",
    120: """DERTyp:e WRtg:u WRtg_SF:f VARtg:u VARtg_SF:f VArRtgQ1:i VArRtgQ2 VArRtgQ3 VArRtgQ4 VArRtg_SF:f ARtg:u
        ARtg_SF:f PFRtgQ1:i PFRtgQ2 PFRtgQ3 PFRtgQ4 PFRtg_SF:f WHRtg:u WHRtg_SF:f AhrRtg:u AhrRtg_SF:f MaxChaRte:u
        MaxChaRte_SF:f MaxDisChaRte:u MaxDisChaRte_SF:f Pad:p""",
    124: """WChaMax:u WChaGra WDisChaGra StorCtl_Mod:b VAChaMax:u MinRsvPct ChaState StorAval InBatV ChaSt:e OutWRte:i
        InWRte InOutWRte_WinTms:u InOutWRte_RvrtTms InOutWRte_RmpTms ChaGriSet:e WChaMax_SF:f WChaDisChaGra_SF
        VAChaMax_SF MinRsvPct_SF ChaState_SF StorAval_SF InBatV_SF InOutWRte_SF""",
    203: """A:i AphA AphB AphC A_SF:f PhV:i PhVphA PhVphB PhVphC PPV PhVphAB PhVphBC PhVphCA V_SF:f Hz:i Hz_SF:f
        W:i WphA WphB WphC W_SF:f VA:i VAphA VAphB VAphC VA_SF:f VAR:i VARphA VARphB VARphC VAR_SF:f
        PF:i PFphA PFphB PFphC PF_SF:f TotWhExp:a TotWhExpPhA TotWhExpPhB TotWhExpPhC TotWhImp TotWhImpPhA
        TotWhImpPhB TotWhImpPhC TotWh_SF:f TotVAhExp:a TotVAhExpPhA TotVAhExpPhB TotVAhExpPhC TotVAhImp TotVAhImpPhA
        TotVAhImpPhB TotVAhImpPhC TotVAh_SF:f TotVArhImpQ1:a TotVArhImpQ1PhA TotVArhImpQ1PhB TotVArhImpQ1PhC
        TotVArhImpQ2 TotVArhImpQ2PhA TotVArhImpQ2PhB TotVArhImpQ2PhC TotVArhExpQ3 TotVArhExpQ3PhA TotVArhExpQ3PhB
        TotVArhExpQ3PhC TotVArhExpQ4 TotVArhExpQ4PhA TotVArhExpQ4PhB TotVArhExpQ4PhC TotVArh_SF:f Evt:B""",
    704: """PFWInjEna:e PFWInjEnaRvrt PFWInjRvrtTms:U PFWInjRvrtRem PFWAbsEna:e PFWAbsEnaRvrt PFWAbsRvrtTms:U
        PFWAbsRvrtRem WMaxLimPctEna:e WMaxLimPct:u WMaxLimPctRvrt WMaxLimPctEnaRvrt:e WMaxLimPctRvrtTms:U
        WMaxLimPctRvrtRem WSetEna:e WSetMod WSet:I WSetRvrt WSetPct:i WSetPctRvrt WSetEnaRvrt:e WSetRvrtTms:U
        WSetRvrtRem VarSetEna:e VarSetMod VarSetPri VarSet:I VarSetRvrt VarSetPct:i VarSetPctRvrt VarSetEnaRvrt:e
        VarSetRvrtTms:U VarSetRvrtRem WRmp:u WRmpRef:e VarRmp:u AntiIslEna:e PF_SF:f WMaxLimPct_SF WSet_SF WSetPct_SF
        VarSet_SF VarSetPct_SF PFWInj_PF:u PFWInj_Ext:e PFWInjRvrt_PF:u PFWInjRvrt_Ext:e PFWAbs_PF:u PFWAbs_Ext:e
        PFWAbsRvrt_PF:u PFWAbsRvrt_Ext:e""",
    713: "WHRtg:u WHAvail SoC SoH Sta:e WH_SF:f Pct_SF",
}

CODES = {"u": "H", "i": "h", "U": "I", "I": "i", "a": "I", "f": "h", "e": "H", "b": "H", "B": "I", "p": "H"}
NOT_IMPLEMENTED = {
    "u": 0xFFFF, "i": -0x8000, "U": 0xFFFFFFFF, "I": -0x80000000, "a": 0, "f": -0x8000, "e": 0xFFFF, "b": 0xFFFF,
    "B": 0xFFFFFFFF, "p": 0x8000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a point lies in the image: first register, number of registers, how it is packed, what it can hold."""

    register: int
    size: int
    code: struct.Struct
    not_implemented: int | bytes
    lower: int
    upper: int


class Image:
    """The registers of one SunSpec device, with everything not implemented until it is put.

    Args:
        models: model numbers in order.
    """

    def __init__(self, models: Sequence[int]) -> None:
        self._places: dict[str, Place] = {}
        parts, register = [MARKER], 2
        for model in models:
            layout = _layout(model, register + 2)
            length = sum(place.size for place in layout.values())
            parts += [struct.pack(">HH", model, length), *(_blank(place) for place in layout.values())]
            self._places |= {f"{model}.{name}": place for name, place in layout.items()}
            register += 2 + length
        self._bytes = bytearray(b"".join(parts) + END)

    def put(self, values: Mapping[str, int | str]) -> None:
        """Write raw values by `model.point`; integers are clamped to what their registers hold."""
        for name, value in values.items():
            place = self._places[name]
            raw = value.encode() if isinstance(value, str) else min(max(value, place.lower), place.upper)
            place.code.pack_into(self._bytes, 2 * place.register, raw)

    def get(self, name: str) -> int:
        """Read a raw integer by `model.point`."""
        place = self._places[name]
        return int(place.code.unpack_from(self._bytes, 2 * place.register)[0])

    def read(self, address: int, count: int) -> bytes:
        """Give registers in wire order; raises `ModbusFault` outside the image."""
        first = 2 * (address - BASE)
        if first < 0 or first + 2 * count > len(self._bytes):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return bytes(self._bytes[first : first + 2 * count])

    def preview(self, address: int, values: tuple[int, ...], writable: frozenset[str]) -> dict[str, int]:
        """Tell which points a write would set to what, without setting them.

        Raises:
            ModbusFault: illegal address, where a register is of no writable point.
        """
        first, last = address - BASE, address - BASE + len(values)
        trial = bytearray(self._bytes)
        if first < 0 or 2 * last > len(trial):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        struct.pack_into(f">{len(values)}H", trial, 2 * first, *values)
        hit = {
            name: p for name in writable if (p := self._places[name]).register < last and first < p.register + p.size
        }
        covered = {r for p in hit.values() for r in range(p.register, p.register + p.size)}
        if not covered.issuperset(range(first, last)):
            raise ModbusFault(Fault.ILLEGAL_ADDRESS)
        return {name: int(p.code.unpack_from(trial, 2 * p.register)[0]) for name, p in hit.items()}


def scaled(value: float, exponent: int) -> int:
    """Turn a value into raw counts of ten to the `exponent`."""
    return round(value * 10.0**-exponent)


def _layout(model: int, register: int) -> dict[str, Place]:
    layout, kind = {}, "u"
    for word in LAYOUTS[model].split():
        name, _, given = word.partition(":")
        kind = given or kind
        size = int(kind[1:]) if kind[0] == "s" else struct.calcsize(">" + CODES[kind]) // 2
        code = f"{2 * size}s" if kind[0] == "s" else CODES[kind]
        layout[name] = Place(
            register, size, struct.Struct(">" + code), NOT_IMPLEMENTED.get(kind, b""), *_range(code[-1], 16 * size)
        )
        register += size
    return layout


def _blank(place: Place) -> bytes:
    return place.code.pack(place.not_implemented)


def _range(code: str, bits: int) -> tuple[int, int]:
    return (-(1 << bits - 1) + 1, (1 << bits - 1) - 1) if code in "hi" else (0, (1 << bits) - 2)
