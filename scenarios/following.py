"""What a follower does: it sends a run by OTLP until its owner closes its stdin, and says on stdout what became of it.

    python -m fellowship.scenarios.following RUN AFTER [--content] [--openinference]

A command line of its own, which loads what it needs and nothing else: it is paid for at every run that is watched.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson

from ..protocols.errors import FellowshipError
from ..runtime.printable import escaped, plain
from ..runtime.secrecy import hidden, hiding, secrets_of
from .plugins.loading import loaded
from .traced import LOG, URL, Tracing, send_run


def main(words: Sequence[str]) -> int:
    """Follow a run; returns the exit code."""
    run, after, *flags = words
    with hiding(secrets_of(os.environ)), loaded(packaged=True):
        try:
            url = os.environ.get(URL) or None
            tracing = Tracing.of(url, content="--content" in flags, openinference="--openinference" in flags)
            sent = send_run(Path(run) / LOG, tracing, owned=True, after=int(after))
        except FellowshipError as error:
            print(plain(f"fellowship: {error}"), file=sys.stderr)  # noqa: T201 - what its owner tells of it
            return 1
        print(escaped(orjson.dumps(hidden(sent.model_dump(mode="json"))).decode()))  # noqa: T201 - the one document
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
