"""Writing ``shapes`` and ``shapes-video`` in the layouts of published datasets, so that readers meet real files.

Each module writes one layout, with everything in it that the published files have. The same options give the same
bytes. Photographs are JPEG, as published, so their pixels differ a little from those of the dataset.
"""
