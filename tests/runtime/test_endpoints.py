import pytest

from fellowship.protocols.errors import DeclarationError
from fellowship.protocols.models import ModelSettings
from fellowship.runtime.models import resolve
from fellowship.runtime.models.endpoints import split, with_defaults


def test_the_first_slash_divides_provider_and_model() -> None:
    assert split("together/meta-llama/Llama-3") == ("together", "meta-llama/Llama-3")
    assert split("together_ai/x") == ("together", "x")


@pytest.mark.parametrize("name", ["gpt-4o", "/x", "x/", ""])
def test_a_name_without_provider_or_model_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="write provider/model"):
        split(name)


def test_a_known_provider_has_its_address_and_takes_its_key_from_the_environment() -> None:
    endpoint = resolve(ModelSettings(model="openai/gpt-4o"), {"OPENAI_API_KEY": "k"})
    assert (str(endpoint.url), endpoint.model, endpoint.key) == (
        "https://api.openai.com/v1/chat/completions",
        "gpt-4o",
        "k",
    )
    assert "'k'" not in repr(endpoint)


@pytest.mark.parametrize("name", ["TOGETHER_API_KEY", "TOGETHERAI_API_KEY"])
def test_any_usual_name_of_a_key_will_do(name: str) -> None:
    assert resolve(ModelSettings(model="together/m"), {name: "k"}).key == "k"


def test_a_missing_key_is_told_with_the_name_to_set() -> None:
    with pytest.raises(DeclarationError, match="set OPENAI_API_KEY"):
        resolve(ModelSettings(model="openai/gpt-4o"), {})
    with pytest.raises(DeclarationError, match="set MY_API_KEY"):
        resolve(ModelSettings(model="vllm/x", key_env="MY_API_KEY"), {})


def test_a_key_goes_only_where_it_was_named_for() -> None:
    environ = {"OPENAI_API_KEY": "sk-1", "AWS_SECRET_ACCESS_KEY": "aws"}
    elsewhere = "http://elsewhere/v1"
    assert resolve(ModelSettings(model="openai/m", base_url=elsewhere), environ).key is None
    named = ModelSettings(model="openai/m", base_url=elsewhere, key_env="OPENAI_API_KEY")
    assert resolve(named, environ).key == "sk-1"
    assert resolve(ModelSettings(model="openai/m"), {**environ, "OPENAI_BASE_URL": elsewhere}).key == "sk-1"
    with pytest.raises(DeclarationError, match="must end with _API_KEY or _TOKEN"):
        resolve(ModelSettings(model="openai/m", key_env="AWS_SECRET_ACCESS_KEY"), environ)


def test_any_provider_is_reached_by_an_address_of_ones_own() -> None:
    by_environment = resolve(
        ModelSettings(model="acme-ai/m"), {"ACME_AI_BASE_URL": "http://127.0.0.1:1/v1/", "ACME_AI_API_KEY": "k"}
    )
    assert (str(by_environment.url), by_environment.key) == ("http://127.0.0.1:1/v1/chat/completions", "k")
    by_setting = resolve(ModelSettings(model="openai/m", base_url="http://127.0.0.1:2/v1"), {})
    assert (by_setting.base_url, by_setting.key) == ("http://127.0.0.1:2/v1", None)


def test_an_unknown_provider_without_an_address_is_told_what_to_set() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'openai'.*set OPENAII_BASE_URL"):
        resolve(ModelSettings(model="openaii/m"), {})


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(DeclarationError, match="http://"):
        resolve(ModelSettings(model="x/m", base_url="localhost:8000"), {})


def test_answers_of_an_embedded_model_are_bounded_unless_the_scenario_says_otherwise() -> None:
    assert with_defaults(ModelSettings(model="local/x")).max_tokens == 256
    assert with_defaults(ModelSettings(model="local/x", max_tokens=5)).max_tokens == 5
    assert with_defaults(ModelSettings(model="openai/x")).max_tokens is None


@pytest.mark.parametrize(
    "address", ["http://u:p@h/v1", "http://h/v1?api-key=k", "http://h/v1#k", "http:///x", "ftp://h"]
)
def test_an_address_with_a_secret_in_it_or_without_a_host_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve(ModelSettings(model="x/m", base_url=address), {})
    assert address not in str(caught.value)


def test_a_key_is_taken_without_the_line_end_and_one_that_cannot_be_is_refused() -> None:
    settings = ModelSettings(model="openai/m")
    assert resolve(settings, {"OPENAI_API_KEY": " sk-1\n"}).key == "sk-1"
    with pytest.raises(DeclarationError, match="look at OPENAI_API_KEY"):
        resolve(settings, {"OPENAI_API_KEY": "sk-1\nsk-2"})
    with pytest.raises(DeclarationError, match="needs a key"):
        resolve(settings, {"OPENAI_API_KEY": " "})
