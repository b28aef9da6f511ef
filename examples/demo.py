"""What `make demo` plays: a feedback loop, then a debate, on the embedded model. No key, no network, a minute or two.

The model is small: it writes sentences and valid JSON, and cannot judge. It shows that everything works.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def fellowship(*arguments: object) -> None:
    """Run a command as a user would, and show it."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ fellowship {' '.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "fellowship", *words], check=False)  # noqa: S603 - our own command
    if done.returncode not in (0, 1):  # 1: done, with failed items, which is a fact worth seeing
        sys.exit(done.returncode)


def main() -> None:
    """Play both scenarios, show one conversation of each, and say where the logs lie."""
    runs = Path(tempfile.mkdtemp(prefix="fellowship-demo-"))
    fellowship("run", "feedback-loop", "--data", HERE / "data.jsonl", "--out", runs / "loop")
    fellowship("trace", runs / "loop", "rain")
    fellowship("run", "debate", "--data", HERE / "pairs.jsonl", "--limit", 1, "--out", runs / "debate")
    fellowship("trace", runs / "debate", "rain")
    print(f"\nThe logs of both runs lie in {runs}: fellowship trace {runs / 'loop'} bread")


if __name__ == "__main__":
    main()
