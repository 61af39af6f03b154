"""A tiny service with two topics of its own: it adds amounts to accounts and echoes each one."""
