"""Market days that can be played: what happens on them (data), who does what (generator), and the actors."""
