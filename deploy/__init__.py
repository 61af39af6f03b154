"""Operation of Halfday: the command line, the embedded stack, scenarios and the audit."""
