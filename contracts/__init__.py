"""The shared contracts: values, event models, the envelope and the topics. Services share nothing else."""
