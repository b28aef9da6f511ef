"""Access to models: endpoints, the transport to them, admission, retries, and the embedded model."""

from .access import ModelAccess, Retries
from .endpoints import PROVIDERS, Endpoint, resolve

__all__ = ["PROVIDERS", "Endpoint", "ModelAccess", "Retries", "resolve"]
