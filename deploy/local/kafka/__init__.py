"""The embedded broker: configuration, jars, Java, topics."""
