"""What finding near-duplicates costs: seconds, and by how much the peak of resident memory grows.

Made-up prompts of 10 to 60 words, a tenth of them earlier ones touched up, streamed into `find`; beside it, at the
smaller size, the plain loop over `MinHashLSH` of datasketch with the same pieces, threshold and number of values. Each
in a process of its own.

    python benchmarks/duplicates.py [FEW] [MANY]
"""

import random
import resource
import time
from collections.abc import Iterator
from itertools import accumulate

from common import MEBIBYTE, apart, arguments, report, told_apart
from datasketch import MinHash, MinHashLSH

from fellowship.scenarios.preferences.duplicates import HOW, find
from fellowship.scenarios.preferences.shingles import CHARACTERS, normal
from fellowship.scenarios.preferences.signatures import PERMUTATIONS

VOCABULARY = 20_000
REMEMBERED = 2_000
"""Prompts that are touched up again."""


def prompts(count: int) -> Iterator[str]:
    chance = random.Random(1)  # noqa: S311 - made-up texts, not secrets
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / (place + 1) for place in range(VOCABULARY)))  # as words are spread in texts (Zipf)
    earlier: list[list[str]] = []
    for _ in range(count):
        if earlier and chance.random() < 0.1:
            text = list(chance.choice(earlier))
            text[chance.randrange(len(text))] = chance.choice(words)
        else:
            text = chance.choices(words, cum_weights=weights, k=chance.randint(10, 60))
            if len(earlier) < REMEMBERED:
                earlier.append(text)
        yield " ".join(text)


def ours(count: int) -> int:
    found = find(prompts(count))
    return sum(found.count(how) for how in HOW)


def plain(count: int) -> int:
    """Return how many are dropped by the loop that anyone would write first; nothing is compared exactly."""
    lsh = MinHashLSH(threshold=0.8, num_perm=PERMUTATIONS)
    dropped = 0
    for number, prompt in enumerate(prompts(count)):
        text = normal(prompt)
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch({text[at : at + CHARACTERS].encode() for at in range(len(text) - CHARACTERS + 1)})
        if lsh.query(sketch):
            dropped += 1
        else:
            lsh.insert(str(number), sketch)
    return dropped


def one(which: str, count: str) -> None:
    """Be one reading, in a process of its own."""
    find(["Warm", "Warmer"])
    made_s = time.perf_counter()
    for _ in prompts(int(count)):
        pass
    made_s = time.perf_counter() - made_s
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEBIBYTE
    begun_s = time.perf_counter()
    dropped = (ours if which == "ours" else plain)(int(count))
    report(seconds=time.perf_counter() - begun_s - made_s, before_mib=before, dropped=dropped)


def main(few: int, many: int) -> None:
    print("near-duplicates at 0.8, prompts of 10 to 60 words, a tenth touched up:")
    seconds: dict[tuple[str, int], float] = {}
    for which, count in (("ours", few), ("plain", few), ("ours", many)):
        found = apart(which, str(count))
        seconds[which, count] = found["seconds"]
        grown = found["peak_mib"] - found["before_mib"]
        print(
            f"  {which:5} {count:9,} {found['seconds']:7.1f} s, memory +{grown:.1f} MiB, {found['dropped']:,} dropped"
        )
    print(f"  ours is {seconds['plain', few] / seconds['ours', few]:.1f} times as fast as the plain loop")


if __name__ == "__main__":
    if (told := told_apart()) is not None:
        one(*told)
    else:
        main(*arguments(20_000, 200_000))
