"""Hours of shopping, and kills, under which nothing may grow."""
