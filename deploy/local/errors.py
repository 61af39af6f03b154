"""The one error that the local stack shows to a person."""


class StackError(Exception):
    """The local stack can't do what was asked; the text is one plain sentence that says what to do."""
