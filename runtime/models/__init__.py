"""Access to models: endpoints, transports, admission, retries, accounts, and the embedded model."""

from .access import ModelAccess, Route
from .admission import Admission, Admissions
from .budget import Budget
from .endpoints import PROVIDERS, Endpoint, resolve
from .lean import LeanTransport
from .prices import Price, PriceTable
from .retries import Retries
from .wire import Transport

__all__ = [
    "PROVIDERS",
    "Admission",
    "Admissions",
    "Budget",
    "Endpoint",
    "LeanTransport",
    "ModelAccess",
    "Price",
    "PriceTable",
    "Retries",
    "Route",
    "Transport",
    "resolve",
]
