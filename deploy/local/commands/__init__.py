"""Commands on a whole data folder: backup, restore, doctor, partitions."""
