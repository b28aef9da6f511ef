"""Test doubles that are as public as the rest: models that say what you want, an endpoint that misbehaves, a clock."""

from .batches import BatchFault, LineFault, LoopbackBatches, ServedBatch
from .clock import ManualClock
from .endpoint import Fault, LoopbackEndpoint, Served
from .scripted import ScriptedModel, as_reply

__all__ = [
    "BatchFault",
    "Fault",
    "LineFault",
    "LoopbackBatches",
    "LoopbackEndpoint",
    "ManualClock",
    "ScriptedModel",
    "Served",
    "ServedBatch",
    "as_reply",
]
