"""Cache readings in memory or in Redis. Identical concurrent photos are read once."""
