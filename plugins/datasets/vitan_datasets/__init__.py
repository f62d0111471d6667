"""The datasets that come with vitan."""
