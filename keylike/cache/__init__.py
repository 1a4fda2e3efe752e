"""Keep readings for a while, in memory or in Redis; identical concurrent photos are read once."""
