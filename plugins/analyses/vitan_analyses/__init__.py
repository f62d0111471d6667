"""The analyses that come with vitan."""
