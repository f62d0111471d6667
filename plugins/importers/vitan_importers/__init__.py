"""Readers of other programs' results that come with vitan."""
