"""Which family a model belongs to, by its name: whoever made its weights, as judges may favour their kin."""

import re
from collections.abc import Mapping

PATTERNS: tuple[tuple[str, str], ...] = (
    # Models that others tuned are families of their own, whatever they were tuned from: their answers have another
    # teacher's manner, and stand first here as their names often hold their ancestor's too.
    (r"vicuna", "vicuna"),
    (r"alpaca", "alpaca"),
    (r"koala", "koala"),
    (r"guanaco", "guanaco"),
    (r"wizard(lm|coder|math)?", "wizardlm"),
    (r"dolly", "dolly"),
    (r"oasst|open-?assistant", "open-assistant"),
    (r"zephyr", "zephyr"),
    (r"openchat", "openchat"),
    (r"starling", "starling"),
    (r"hermes", "nous-hermes"),
    (r"orca", "orca"),
    (r"gpt4all", "gpt4all"),
    (r"tulu|olmo", "allenai"),
    (r"nemotron", "nvidia"),
    (r"cerebras", "cerebras"),
    (r"gpt-?(j|neo|neox)|pythia", "eleutherai"),
    (r"deepseek", "deepseek"),
    (r"smollm", "hugging-face"),
    (r"(chat)?gpt-?(2|3|4|5|oss)[a-z0-9.]*|chatgpt|(text-)?davinci|o[134]", "openai"),
    (r"claude", "anthropic"),
    (r"gemma", "google-gemma"),
    (r"gemini|palm|bard", "google-gemini"),
    (r"mistral|mixtral|ministral|codestral|magistral|pixtral", "mistral"),
    (r"qwen|qwq", "qwen"),
    (r"(code)?llama", "meta-llama"),
    (r"opt", "meta-opt"),
    (r"phi", "microsoft-phi"),
    (r"command|c4ai", "cohere"),
    (r"bloomz?", "bigscience"),
    (r"falcon", "tii-falcon"),
    (r"grok", "xai"),
    (r"yi", "01-ai"),
    (r"(chat)?glm", "zhipu"),
    (r"granite", "ibm-granite"),
    (r"kimi", "moonshot"),
    (r"nova", "amazon-nova"),
)
"""A word of a model's name, and the family; the first that is found decides."""
# A word ends where letters end: llama2 and Meta-Llama-3.1 have the word llama, option and biopt have no word opt.
_FOUND = tuple((re.compile(rf"(?<![a-z])(?:{words})(?![a-z])"), family) for words, family in PATTERNS)


def family_of(model: str, families: Mapping[str, str] | None = None) -> str:
    """Return the family of a model: as given, by a word of its name, or the name itself where no word is known.

    Args:
        model: As in `openai/gpt-4o` or `gemma-2-9b-it`.
        families: Model to family, where the name does not tell.
    """
    if families and model in families:
        return families[model]
    name = own_name(model)
    return next((family for words, family in _FOUND if words.search(name)), model)


def kin_of(model: str, said: str | None = None) -> str:
    """Return what two models have in common that are kin: their family, as said or by name, or else their own name.

    Args:
        model: As in `openai/gpt-4o`; who serves it does not matter.
        said: Its family, where the name does not tell; capitals do not matter.
    """
    return own_name(said or family_of(model))


def own_name(model: str) -> str:
    """Return a model's name without its provider, in lower case: what two names of one model share."""
    return model.rsplit("/", 1)[-1].lower()
