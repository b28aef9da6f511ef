"""Groups of exceptions, where one of them is what there is to tell."""

from typing import cast


def first_of(error: BaseException) -> BaseException:
    """Return an error, or the first of a group, however deep."""
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error
