"""Features whose CKA is known: two even splits of four samples that cross each other.

With x = (1, 1, -1, -1) and y = (1, -1, 1, -1) the inner products off the diagonal sum to -4 for both, to -1 in each
row, and their products to -4. By the unbiased estimator HSIC(x, y) = (-4 + 16/6 - 4) / 4 = -4/3 and
HSIC(x, x) = (12 + 16/6 - 4) / 4 = 8/3: debiased CKA is -1/2 between them, and 1 with itself.
"""

from __future__ import annotations

import numpy as np

from .exact import Floats

#: The two splits as layers (sample, channel), and their CKA.
SPLITS: tuple[Floats, Floats] = (np.array([[1.0], [1.0], [-1.0], [-1.0]]), np.array([[1.0], [-1.0], [1.0], [-1.0]]))
CROSSED = -0.5
#: A rotation of two channels by 30 degrees.
ROTATION: Floats = np.array([[np.sqrt(0.75), -0.5], [0.5, np.sqrt(0.75)]])
