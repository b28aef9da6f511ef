"""Two runs surveyed in a process of its own: both logs are gone through whole, and the server has others to answer.

    python -m fellowship.scenarios.viewer.surveying LOG LOG NAME NAME

prints the survey as one JSON document; what hinders it goes to stderr as a sentence, with exit code 3.
"""

import os
import sys
from contextlib import closing
from pathlib import Path
from subprocess import CalledProcessError

import anyio
import anyio.to_thread

from ...protocols.errors import FellowshipError, LogError
from ...runtime.log import LogReader
from ..comparison import Survey

HINDERED = 3


async def surveyed(first: Path, second: Path, names: tuple[str, str]) -> Survey:
    """Return the survey of two runs.

    Args:
        first: Log of the one run.
        second: Log of the other.
        names: What they are called.

    Raises:
        LogError: one of the logs cannot be read.
    """
    command = [sys.executable, "-P", "-m", __name__, str(first), str(second), *names]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = await anyio.run_process(command, env=found)
    except CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        if error.returncode != HINDERED:
            raise RuntimeError(f"two runs could not be compared ({error.returncode})\n{said}") from error
        raise LogError(said) from error
    return await anyio.to_thread.run_sync(Survey.model_validate_json, done.stdout)


def main(first: str, second: str, *names: str) -> None:
    """Print the survey of two logs."""
    from ..diff import survey  # noqa: PLC0415 - the server has no need of it

    with closing(LogReader(Path(first))) as one, closing(LogReader(Path(second))) as other:
        found = survey(one, other, names=(names[0], names[1]))
    sys.stdout.buffer.write(found.model_dump_json().encode())


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except FellowshipError as error:
        sys.stderr.write(str(error))
        sys.exit(HINDERED)
