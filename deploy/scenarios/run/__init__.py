"""Playing a day: stack, actors, clock, progress."""
