"""A delivery job: its fields, its states and what each message does to it."""
