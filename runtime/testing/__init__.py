"""Test doubles that are as public as the rest: models that say what you want, an endpoint that misbehaves, a clock."""

from .batches import BatchFault, LineFault, LoopbackBatches, ServedBatch
from .clock import ManualClock
from .endpoint import LoopbackEndpoint
from .enforcement import Enforced, Enforcer, Refusal
from .faults import FAULTS, Fault, Misbehaviour, Mishaps
from .latency import Latency, constant, exponential, lognormal, uniform
from .ledger import Served, Totals
from .scripted import ScriptedModel, as_reply
from .timeline import Enforceable, Tally

__all__ = [
    "FAULTS",
    "BatchFault",
    "Enforceable",
    "Enforced",
    "Enforcer",
    "Fault",
    "Latency",
    "LineFault",
    "LoopbackBatches",
    "LoopbackEndpoint",
    "ManualClock",
    "Misbehaviour",
    "Mishaps",
    "Refusal",
    "ScriptedModel",
    "Served",
    "ServedBatch",
    "Tally",
    "Totals",
    "as_reply",
    "constant",
    "exponential",
    "lognormal",
    "uniform",
]
