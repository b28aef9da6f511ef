"""Runs that are killed, and started again: nothing that was recorded is lost, and nothing is paid for twice."""

from pathlib import Path
from random import Random

import anyio

from fellowship.runtime.testing import LoopbackEndpoint
from fellowship.runtime.testing.killing import Case, Report, killed, write_data
from fellowship.runtime.testing.opinions import Opinions
from fellowship.runtime.testing.proofs import gaps, outcomes
from fellowship.runtime.testing.trial import Moment, Start, Trial, told

SEED = 7
CASES = (
    Case("debate", 12, kills=4, together=3),
    Case("jury", 20, kills=1, together=3, refused=0.15, retry_kills=1),
)


async def test_runs_that_are_killed_again_and_again_come_to_what_they_come_to_undisturbed(tmp_path: Path) -> None:
    reports: list[Report] = []

    async def check(case: Case) -> None:
        folder = tmp_path / case.scenario
        folder.mkdir()
        reports.append(await killed(case, folder, SEED))

    async with anyio.create_task_group() as both:
        for case in CASES:
            both.start_soon(check, case)
    for report in reports:
        assert report.problems == ()
        assert report.answers - report.repeated >= report.case.items * 3
    assert sum(len(report.kills) for report in reports) >= 4  # where a start ends before its moment, it is not killed


async def test_a_killed_process_keeps_no_lock_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    case, opinions = Case("judge", 150, kills=1, concurrency=2), Opinions()
    data, first, told_off = write_data(tmp_path / "data.jsonl", case.items), list[Start](), anyio.Event()

    def until_then(_: Random) -> float:
        return 0.0 if told_off.is_set() else 0.1

    async with LoopbackEndpoint(opinions, faults=opinions, latency=until_then) as endpoint:
        trial = Trial(tmp_path / "run", endpoint, opinions)
        command = case.command(data, trial.out, endpoint.base_url)
        dead = await trial.start(command, Moment(requests=20))
        assert (dead.code, (trial.out / "run.lock").exists()) == ("killed", True)

        async def go_on() -> None:
            first.append(await trial.start(command))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on)
            await opinions.reach(4)
            second = await told(*command)
            assert first == []
            told_off.set()
        assert (second.code, second.words) == (2, f"fellowship: {trial.out} is being played by another process\n")
        assert first[0].code == 0
        assert trial.accounts(case.bound) == []
    assert [line["item"] for line in outcomes(trial.out)] == [f"i{number}" for number in range(case.items)]
    assert gaps(trial.out) == []
