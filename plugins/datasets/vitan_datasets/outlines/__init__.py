"""Outlined things in pictures: what annotation files hold, and samples with their masks."""
