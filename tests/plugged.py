"""How another pytest is started with the package's own plugin, whether or not its entry point is installed."""

from importlib.metadata import entry_points

INSTALLED = any(entry.name == "fellowship" for entry in entry_points(group="pytest11"))
WITH_PLUGIN = () if INSTALLED else ("-p", "fellowship.scenarios.pytest_plugin")
INI = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
