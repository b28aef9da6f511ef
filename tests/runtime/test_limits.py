"""How what a user allows is written: rates by the minute, and budgets."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.models import ModelSettings
from fellowship.runtime.models import Admissions, Budget
from fellowship.runtime.session import Access, Limits, Rate, open_session, read_rate


@pytest.mark.parametrize(
    ("text", "model", "rate"),
    [
        ("600rpm", "*", Rate(600, None)),
        ("100ktpm", "*", Rate(None, 100_000)),
        ("600rpm,2Mtpm", "*", Rate(600, 2_000_000)),
        ("2mTPM, 1.5kRPM", "*", Rate(1_500, 2_000_000)),
        ("openai=600rpm", "openai", Rate(600, None)),
        ("openai/gpt-4o=0.5rpm", "openai/gpt-4o", Rate(0.5, None)),
        ("mine/m=v2=600rpm,1tpm", "mine/m=v2", Rate(600, 1)),
        (" openai/gpt-4o = 600rpm ", "openai/gpt-4o", Rate(600, None)),
    ],
)
def test_a_rate_is_read_with_what_it_is_of(text: str, model: str, rate: Rate) -> None:
    assert read_rate(text) == (model, rate)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "600",
        "rpm",
        "0rpm",
        "-1rpm",
        "600rps",
        "600rpm,700rpm",
        "600rpm;1tpm",
        "600rpm,",
        "openai=",
        "=600rpm",
        "1e3rpm",
        "6 00rpm",
    ],
)
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_rate(text)
    assert str(caught.value).startswith(f"{text!r} is no rate: write 600rpm")


def test_the_rate_nearest_to_a_model_counts() -> None:
    near, nearer, nearest = Rate(1), Rate(2), Rate(3)
    limits = Limits(rates={"*": near, "openai": nearer, "openai/gpt-4o": nearest})
    assert limits.rate("openai/gpt-4o") is nearest
    assert limits.rate("openai/gpt-4o-mini") is nearer
    assert limits.rate("groq/gpt-4o") is near
    assert Limits(rates={"openai": near}).rate("groq/gpt-4o") == Limits().rate("groq/gpt-4o") == Rate(None, None)


async def test_a_rate_reaches_the_endpoint_that_it_is_of(tmp_path: Path) -> None:
    models = [ModelSettings(model="mine/a"), ModelSettings(model="mine/b"), ModelSettings(model="other/c")]
    environ = {"MINE_BASE_URL": "https://mine.example/v1", "OTHER_BASE_URL": "https://other.example/v1"}
    limits = Limits(rates=dict([read_rate("mine=600rpm,100ktpm"), read_rate("mine/b=50rpm")]))
    access = Access(admissions=Admissions())
    async with open_session(
        tmp_path / "run.db", models, environ=environ, limits=limits, seed=0, access=access
    ) as session:
        assert session.access is not None
        states = {state.endpoint: state for state in session.access.admissions()}
    assert {name: (state.requests_per_minute, state.tokens_per_minute) for name, state in states.items()} == {
        "mine/a": (600, 100_000),
        "mine/b": (50, None),
        "other/c": (None, None),
    }
    assert states["mine/a"].requests_origin == "configured"
    assert states["other/c"].requests_origin == "none"


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("5usd", Budget(usd=5.0)),
        ("0.5usd", Budget(usd=0.5)),
        ("$5", Budget(usd=5.0)),
        ("5$", Budget(usd=5.0)),
        (" 5 USD ", Budget(usd=5.0)),
        ("2Mtok", Budget(tokens=2_000_000)),
        ("200ktok", Budget(tokens=200_000)),
        ("1.5ktok", Budget(tokens=1_500)),
        ("7tok", Budget(tokens=7)),
        ("5usd, 2Mtok", Budget(usd=5.0, tokens=2_000_000)),
        ("2Mtok,$5", Budget(usd=5.0, tokens=2_000_000)),
    ],
)
def test_a_budget_is_money_or_tokens_or_both(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "usd",
        "0usd",
        "-5usd",
        "5eur",
        "5 usd 2Mtok",
        "5usd,",
        "1e3usd",
        "nan usd",
        "$5usd",
        "0.2tok",
        "5usd,3usd",
        "1ktok,2Mtok",
        "9" * 400 + "usd",
        "9" * 400 + "tok",
    ],
)
def test_what_is_no_budget_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        Budget.parse(text)
    assert str(caught.value) == f"{text!r} is no budget: write 5usd, 500ktok or 2Mtok"


@given(st.text(max_size=12))
def test_any_text_is_a_budget_or_refused(text: str) -> None:
    try:
        budget = Budget.parse(text)
    except DeclarationError:
        return
    assert (budget.usd or 0) > 0 or (budget.tokens or 0) > 0


def test_a_budget_says_what_it_is() -> None:
    assert str(Budget(usd=5.0, tokens=2_000_000)) == "5 usd and 2,000,000 tokens"
    assert str(Budget(usd=0.5)) == "0.5 usd"
