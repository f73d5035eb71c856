"""The soak test: hours of shopping and kills, during which no resource and no latency may grow."""
