"""One physical thing a file; its docstring is its equations."""

from optimization.assets.asset import Asset, Inputs
from optimization.assets.battery import Battery, BatteryInputs
from optimization.assets.boiler import Boiler, BoilerInputs, ElectricBoiler, ElectricBoilerInputs
from optimization.assets.deferrable import Deferrable, DeferrableInputs, Programme, StartWindow, interruptible
from optimization.assets.ev import ChargePoint, ChargePointInputs
from optimization.assets.ev_session import EvSession, GivesBack
from optimization.assets.genset import Genset, GensetInputs
from optimization.assets.heat_load import HeatLoad, HeatLoadInputs
from optimization.assets.heat_pump import HeatPump, HeatPumpInputs
from optimization.assets.heat_source import HeatSource, HeatSourceInputs
from optimization.assets.hybrid import Hybrid, HybridInputs
from optimization.assets.load import Load, LoadInputs
from optimization.assets.pipe import Pipe, PipeInputs
from optimization.assets.pv import Pv, PvInputs
from optimization.assets.tank import Tank, TankInputs
from optimization.assets.wind import Wind, WindInputs
from optimization.assets.zone import Zone, ZoneInputs

__all__ = [
    "Asset",
    "Battery",
    "BatteryInputs",
    "Boiler",
    "BoilerInputs",
    "ChargePoint",
    "ChargePointInputs",
    "Deferrable",
    "DeferrableInputs",
    "ElectricBoiler",
    "ElectricBoilerInputs",
    "EvSession",
    "Genset",
    "GensetInputs",
    "GivesBack",
    "HeatLoad",
    "HeatLoadInputs",
    "HeatPump",
    "HeatPumpInputs",
    "HeatSource",
    "HeatSourceInputs",
    "Hybrid",
    "HybridInputs",
    "Inputs",
    "Load",
    "LoadInputs",
    "Pipe",
    "PipeInputs",
    "Programme",
    "Pv",
    "PvInputs",
    "StartWindow",
    "Tank",
    "TankInputs",
    "Wind",
    "WindInputs",
    "Zone",
    "ZoneInputs",
    "interruptible",
]
