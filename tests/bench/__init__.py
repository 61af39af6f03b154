"""The scoreboard: this project measured beside what a good team would otherwise write. `./halfday bench --help`."""
