"""What the library raises where its input, not its code, is at fault."""


class InputError(Exception):
    """An input cannot be used; the message says what is wrong, where and what to do."""
