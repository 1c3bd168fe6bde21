"""The assets' equations as Pyomo blocks, one file beside each dataclass of `optimization.assets`.

They live apart so that the control process can import the dataclasses without loading Pyomo. Every Param is a derived
coefficient that the dataclass fills under the same name; a block offers `power_kw[s]` (into the asset) and `cost` (an
expression), and reads its schedule back.
"""
