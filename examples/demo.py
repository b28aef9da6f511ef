"""What `make demo` plays on the embedded model: prompts to preference data, then a debate. No key, no network, minutes.

The model is small: it writes sentences and valid JSON, and cannot judge. It shows that everything works.
"""

import json
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
    """Play both scenarios, show one conversation of each, write the data sets, and say where all of it lies."""
    runs = Path(tempfile.mkdtemp(prefix="fellowship-demo-"))
    pairs = ["run", "preference-pairs", "--data", HERE / "data.jsonl", "--limit", 2, "--out", runs / "pairs"]
    # One model plays every role, so that it judges its own family. It prefers a place, not an answer: shown in both
    # orders every match is a tie, and nothing is a pair. In one order there is something to look at.
    fellowship(*pairs, "--set", "own_family=true", "--set", "judging.orders=ab", "--set", "margin=0")
    fellowship("trace", runs / "pairs", "bread")
    exported = runs / "data"
    fellowship("export", runs / "pairs", "--format", "dpo", "--format", "kto", "--to", exported)
    row = (exported / "generation-dpo" / "train.jsonl").read_text(encoding="utf-8").splitlines()[0]
    print(f"\nThe first row of {exported / 'generation-dpo'}:\n{json.dumps(json.loads(row), indent=1)[:1500]} …")
    fellowship("run", "debate", "--data", HERE / "pairs.jsonl", "--limit", 1, "--out", runs / "debate")
    fellowship("trace", runs / "debate", "rain")
    print(f"\nBoth runs lie in {runs}, the data sets with their card in {exported}.")
    print(f"More to see: fellowship trace {runs / 'pairs'} rain")


if __name__ == "__main__":
    main()
