"""Tables as the documentation shows them."""

from collections.abc import Iterable, Sequence


def print_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """In Markdown, each row as soon as it is there."""
    print()
    for row in (titles, ["---", *["---:"] * (len(titles) - 1)]):
        print("| " + " | ".join(row) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
