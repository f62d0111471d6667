"""Pictures in shards: files that hold many, as tar (webdataset's layout) or Parquet (that of ``datasets``)."""
