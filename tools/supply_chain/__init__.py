"""Supply chain checks: bundled native libraries, bill of materials, and known advisories."""
