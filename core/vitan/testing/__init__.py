"""The contract of plugins, as functions that raise ``AssertionError`` with what is wrong.

A third party's whole test can be::

    from vitan.testing import check_model
    from my_plugin import SPEC

    def test_contract():
        check_model(SPEC)
"""

from .datasets import check_dataset
from .models import check_model
from .probes import check_on_accelerator, check_probe

__all__ = ["check_dataset", "check_model", "check_on_accelerator", "check_probe"]
