"""Columns of the data that hold a list, for an `each` to go through."""

from ..protocols.errors import nearest
from ..protocols.items import Item


def texts_of(item: Item, column: str) -> tuple[str, ...]:
    """Return the texts of an item's column.

    Raises:
        ValueError: there is no such column, or it is no list of texts and numbers.
    """
    if column not in item.metadata:
        raise ValueError(f"there is no column {column!r} for data.{column}{nearest(column, item.metadata)}")
    found = item.metadata[column]
    if not isinstance(found, list) or not found:
        raise ValueError(f"data.{column} is {found!r:.40}: a list of texts is wanted, with one at the least")
    if not all(isinstance(each, (str, int, float)) and not isinstance(each, bool) for each in found):
        raise ValueError(f"data.{column} holds what is neither text nor a number")
    return tuple(map(str, found))
