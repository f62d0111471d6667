"""What an analysis is made of: probe, accumulators, records, figures."""
