"""Who offers what: specs, hooks, and the plugins that are installed."""
