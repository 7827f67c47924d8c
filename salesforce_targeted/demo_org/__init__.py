"""A pretend Salesforce org on 127.0.0.1."""

from .faults import Fault
from .latency import Latency
from .org import DemoOrg
from .server import DemoServer, serve

__all__ = ["DemoOrg", "DemoServer", "Fault", "Latency", "serve"]
