"""The error that the local stack reports to people."""


class StackError(Exception):
    """The local stack cannot do what was requested. The text is one plain sentence that says what to do."""
