"""What calls cost: the table that comes along, tables of the user's own, and what is made of them."""

from datetime import date
from pathlib import Path
from typing import Any

import orjson
import pytest
from asking import CALL, Answering, access_to, said
from hypothesis import given
from hypothesis import strategies as st

from fellowship.protocols.errors import CallRefused, DeclarationError
from fellowship.protocols.models import Usage
from fellowship.runtime.models import Price, PriceTable
from fellowship.runtime.models import prices as shipped

LITELLM: dict[str, Any] = {
    "sample_spec": {"max_tokens": "the longest answer", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "gpt-4o": {
        "max_tokens": 16384,
        "max_input_tokens": 128000,
        "max_output_tokens": 16384,
        "input_cost_per_token": 3e-06,
        "input_cost_per_token_batches": 1.5e-06,
        "output_cost_per_token": 1.1e-05,
        "output_cost_per_token_batches": 5.5e-06,
        "cache_read_input_token_cost": 1.3e-06,
        "litellm_provider": "openai",
        "mode": "chat",
        "supports_function_calling": True,
        "supported_endpoints": ["/v1/chat/completions", "/v1/batch"],
    },
    "together_ai/some/model": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    "1024-x-1024/dall-e-2": {"input_cost_per_pixel": 1.9e-08, "output_cost_per_pixel": 0.0, "mode": "image_generation"},
}
"""As in LiteLLM's model_prices_and_context_window.json."""
PRICE = Price(input_cost_per_token=3.0, output_cost_per_token=7.0)


def written(folder: Path, rows: object) -> Path:
    path = folder / "prices.json"
    path.write_bytes(orjson.dumps(rows))
    return path


def row(price: float) -> dict[str, float]:
    return {"input_cost_per_token": price, "output_cost_per_token": 2 * price}


def test_the_shipped_table_says_from_when_it_is() -> None:
    assert date(2024, 1, 1) < date.fromisoformat(PriceTable.shipped().as_of)


def test_every_row_of_the_shipped_table_is_a_price_that_can_be() -> None:
    names = [name for name in orjson.loads(shipped.SHIPPED.read_bytes()) if name != "as_of"]
    assert len(names) > 5
    for name in names:
        price = PriceTable.shipped().of(name)
        assert price is not None, name
        assert 0 < price.input_cost_per_token < price.output_cost_per_token < 1e-3, name
        assert (price.cache_read_input_token_cost or 0) < price.input_cost_per_token, name
        assert (price.input_cost_per_token_batches or 0) < price.input_cost_per_token, name
        assert (price.max_output_tokens or 0) > 0, name


def test_the_file_of_litellm_is_read_as_it_is(tmp_path: Path) -> None:
    price = PriceTable.read(written(tmp_path, LITELLM)).of("openai/gpt-4o")
    assert price == Price(
        input_cost_per_token=3e-06,
        output_cost_per_token=1.1e-05,
        cache_read_input_token_cost=1.3e-06,
        input_cost_per_token_batches=1.5e-06,
        output_cost_per_token_batches=5.5e-06,
        max_output_tokens=16384,
    )


@pytest.mark.parametrize("model", ["openai/none", "nobody/none", "any/as_of", "any/1024-x-1024/dall-e-2"])
def test_what_has_no_price_by_the_token_has_none(model: str, tmp_path: Path) -> None:
    assert PriceTable.read(written(tmp_path, LITELLM)).of(model) is None
    assert PriceTable.shipped().of(model) is None


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("openai/gpt-9", "openai/gpt-9"),
        ("openai/gpt-9", "gpt-9"),
        ("together/some/model", "together_ai/some/model"),
        ("together_ai/some/model", "together_ai/some/model"),
        ("together_ai/some/model", "together/some/model"),
        ("together/some/model", "some/model"),
        ("mine/m", "m"),
    ],
)
def test_a_model_is_found_with_and_without_its_provider(asked: str, named: str, tmp_path: Path) -> None:
    price = PriceTable.read(written(tmp_path, {named: row(4.0)})).of(asked)
    assert price is not None
    assert price.input_cost_per_token == 4.0


def test_a_name_with_its_provider_is_nearer_than_one_without(tmp_path: Path) -> None:
    price = PriceTable.read(written(tmp_path, {"m": row(1.0), "mine/m": row(2.0), "other/m": row(3.0)})).of("mine/m")
    assert price is not None
    assert price.input_cost_per_token == 2.0


@pytest.mark.parametrize("named", ["openai/gpt-4o", "gpt-4o"])
def test_an_own_file_wins_over_the_shipped_table(named: str, tmp_path: Path) -> None:
    table = PriceTable.read(written(tmp_path, {named: row(4.0)}))
    price = table.of("openai/gpt-4o")
    assert price is not None
    assert price.input_cost_per_token == 4.0
    assert table.of("openai/gpt-4o-mini") == PriceTable.shipped().of("openai/gpt-4o-mini") is not None


def test_an_embedded_model_costs_nothing_whatever_a_file_says(tmp_path: Path) -> None:
    price = PriceTable.read(written(tmp_path, {"local/tiny": row(4.0)})).of("local/tiny")
    assert price is not None
    assert price.cost_usd(Usage(input_tokens=10**9, output_tokens=10**9)) == 0.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a":\n  nonsense}', "prices.json:2:3: not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"", "not JSON"),
        (b"[1, 2]", "prices are one JSON object"),
        (b'"gpt-4o"', "prices are one JSON object"),
    ],
)
def test_a_file_that_is_no_price_file_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_bytes(content)
    with pytest.raises(DeclarationError) as caught:
        PriceTable.read(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.json"):
        with pytest.raises(DeclarationError, match="cannot be read") as caught:
            PriceTable.read(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"input_cost_per_token": -1e-6}, "input_cost_per_token"),
        ({"input_cost_per_token": "cheap"}, "input_cost_per_token"),
        ({"input_cost_per_token": None}, "input_cost_per_token"),
        ({"output_cost_per_token": "inf"}, "output_cost_per_token"),
        ({"output_cost_per_token": "nan"}, "output_cost_per_token"),
        ({"cache_read_input_token_cost": -1}, "cache_read_input_token_cost"),
        ({"output_cost_per_token_batches": [1]}, "output_cost_per_token_batches"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
    ],
)
def test_a_price_that_cannot_be_is_told_with_file_model_and_field(
    change: dict[str, Any], field: str, tmp_path: Path
) -> None:
    path = written(tmp_path, {"gpt-9": {**row(1e-6), **change}, "gpt-8": row(1e-6)})
    table = PriceTable.read(path)
    assert table.of("openai/gpt-8") is not None
    with pytest.raises(DeclarationError) as caught:
        table.of("openai/gpt-9")
    assert str(caught.value).startswith(f"{path}: gpt-9.{field}: ")


def test_a_price_for_input_alone_is_no_price(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="gpt-9.output_cost_per_token: "):
        PriceTable.read(written(tmp_path, {"gpt-9": {"input_cost_per_token": 1e-6}})).of("openai/gpt-9")


@pytest.mark.parametrize(
    ("more", "usage", "cost"),
    [
        ({}, Usage(input_tokens=10, output_tokens=4), 58.0),
        ({}, Usage(input_tokens=10, output_tokens=4, cached_tokens=6, reasoning_tokens=3), 58.0),
        ({"cache_read_input_token_cost": 0.5}, Usage(input_tokens=10, output_tokens=4, cached_tokens=6), 43.0),
        ({"cache_read_input_token_cost": 0.0}, Usage(input_tokens=10, output_tokens=4, cached_tokens=6), 40.0),
        ({"output_cost_per_reasoning_token": 9.0}, Usage(input_tokens=10, output_tokens=4, reasoning_tokens=3), 64.0),
        ({"output_cost_per_reasoning_token": 0.0}, Usage(input_tokens=10, output_tokens=4, reasoning_tokens=3), 37.0),
    ],
)
def test_cached_input_is_part_of_the_input_and_reasoning_of_the_output(
    more: dict[str, float], usage: Usage, cost: float
) -> None:
    assert PRICE.model_copy(update=more).cost_usd(usage) == pytest.approx(cost)


BATCHED = PRICE.model_copy(
    update={
        "cache_read_input_token_cost": 0.5,
        "input_cost_per_token_batches": 1.0,
        "output_cost_per_token_batches": 2.0,
    }
)


def test_a_batch_is_paid_for_at_batch_prices_where_there_are_any() -> None:
    usage = Usage(input_tokens=10, output_tokens=4, cached_tokens=6)
    assert BATCHED.cost_usd(usage, batch=True) == pytest.approx(18.0)
    assert BATCHED.cost_usd(usage) == pytest.approx(43.0)
    assert PRICE.cost_usd(usage, batch=True) == PRICE.cost_usd(usage) == pytest.approx(58.0)


prices = st.floats(min_value=0, max_value=1e-2, allow_nan=False)
unpriced = st.one_of(st.none(), prices)
table_rows = st.builds(
    Price,
    input_cost_per_token=prices,
    output_cost_per_token=prices,
    cache_read_input_token_cost=unpriced,
    output_cost_per_reasoning_token=unpriced,
    input_cost_per_token_batches=unpriced,
    output_cost_per_token_batches=unpriced,
)
parts = st.tuples(*[st.integers(min_value=0, max_value=10**7)] * 4)


def usage_of(fresh: int, cached: int, words: int, thought: int) -> Usage:
    return Usage(
        input_tokens=fresh + cached, output_tokens=words + thought, cached_tokens=cached, reasoning_tokens=thought
    )


@given(table_rows, parts, parts, st.booleans())
def test_no_call_costs_less_than_nothing_nor_less_than_a_part_of_it(
    price: Price, some: tuple[int, int, int, int], more: tuple[int, int, int, int], batch: bool
) -> None:
    part = usage_of(*some)
    whole = part + usage_of(*more)
    cost = price.cost_usd(part, batch=batch)
    assert 0.0 <= cost <= price.cost_usd(whole, batch=batch) + 1e-9


@pytest.mark.parametrize(("batch", "cost"), [(True, 18.0), (False, 58.0)])
async def test_answers_cost_what_their_way_costs(batch: bool, cost: float) -> None:
    transport = Answering(lambda _: said(usage=Usage(input_tokens=10, output_tokens=4)))
    completion = await access_to(transport, price=BATCHED, batch=batch).complete(CALL)
    assert completion.cost_usd == pytest.approx(cost)


@pytest.mark.parametrize(("batch", "cost"), [(True, 18.0), (False, 58.0)])
async def test_failures_that_were_billed_cost_what_their_way_costs(batch: bool, cost: float) -> None:
    def refuse(_: object) -> Any:
        error = CallRefused("no")
        error.usage = Usage(input_tokens=10, output_tokens=4)
        raise error

    with pytest.raises(CallRefused) as caught:
        await access_to(Answering(refuse), price=BATCHED, batch=batch).complete(CALL)
    assert caught.value.cost_usd == pytest.approx(cost)


async def test_nobody_says_what_an_answer_costs_that_has_no_price_or_no_count() -> None:
    assert (await access_to(Answering()).complete(CALL)).cost_usd is None
    uncounted = Answering(lambda _: said(usage=Usage(reported=False)))
    assert (await access_to(uncounted, price=PRICE).complete(CALL)).cost_usd is None
