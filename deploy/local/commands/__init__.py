"""Work on a data folder as a whole: backup, restore, doctor, partitions."""
