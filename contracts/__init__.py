"""What two services may both know: values, event models, the envelope and the topics. Nothing else is shared."""
