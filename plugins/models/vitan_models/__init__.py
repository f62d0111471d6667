"""The model families that come with vitan."""
